// Merges updates that are in memory, for tests.
import type { MergeOptions, Sink } from '../merge.ts'
import { mergeUpdates } from '../merge.ts'
import { inMemory } from '../reader.ts'
import type { Strategy, UpdateDescription } from '../strategy.ts'

export interface TestUpdate extends Partial<UpdateDescription> {
  readonly participant: string
  /** The values are a tier's sum. */
  readonly summed?: boolean
  readonly values: ArrayLike<number>
}

export interface TestMerge extends Partial<Omit<MergeOptions, 'updates' | 'base' | 'state'>> {
  readonly strategy: Strategy
  readonly updates: readonly TestUpdate[]
  readonly base?: ArrayLike<number>
  readonly state?: readonly Float32Array[]
}

export interface Merged {
  readonly parameters: Float32Array
  readonly state: readonly Float32Array[]
}

/** Defaults: one sample and one step an update, all values trainable, base of zeros, first round, all participants there. */
export async function mergeInMemory(merge: TestMerge): Promise<Merged> {
  const { strategy, updates, base, state, context, ...options } = merge
  const length = options.parameterCount ?? base?.length ?? updates[0]?.values.length ?? 0
  const parameters = new Collector()
  const vectors = strategy.serverState.map(() => new Collector())
  await mergeUpdates({
    parameterCount: length,
    trainableCount: length,
    context: { round: 1, participants: updates.length, learningRate: 0.1, ...context },
    write: parameters.write,
    writeState: vectors.map((vector) => vector.write),
    ...options,
    strategy,
    base: inMemory(Float32Array.from(base ?? new Float32Array(length))),
    ...(state ? { state: state.map(inMemory) } : {}),
    updates: updates.map(({ values, ...update }) => ({
      samples: 1,
      steps: 1,
      initialLoss: 1,
      ...update,
      open: inMemory(Float32Array.from(values)),
    })),
  })
  return { parameters: parameters.values, state: vectors.map((vector) => vector.values) }
}

/** Keeps what a sink receives. */
class Collector {
  readonly #pieces: Buffer[] = []

  readonly write = async (bytes: Uint8Array): Promise<void> => {
    this.#pieces.push(Buffer.from(bytes))
    await Promise.resolve()
  }

  get values(): Float32Array {
    return new Float32Array(Uint8Array.from(Buffer.concat(this.#pieces)).buffer)
  }
}

/** A sink and what it received. */
export function collected(): { write: Sink; values: () => Float32Array } {
  const collector = new Collector()
  return { write: collector.write, values: () => collector.values }
}
