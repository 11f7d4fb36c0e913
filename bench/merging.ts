/*
 * The merging engine over updates in memory, for benchmarks that simulate many rounds in one process.
 */
import type { StrategyConfigurationInput } from '#federation/aggregation/configuration.ts'
import { readStrategyConfiguration } from '#federation/aggregation/configuration.ts'
import { mergeUpdates } from '#federation/aggregation/merge.ts'
import type { OpenReader } from '#federation/aggregation/reader.ts'
import { strategyOf } from '#federation/aggregation/strategies.ts'

export interface LocalUpdate {
  readonly participant: string
  readonly samples: number
  /** Trained parameters minus those that training started from. */
  readonly difference: Float32Array
  /** Merges since those. */
  readonly staleness?: number
}

/** The new global parameters; for strategies that keep no state at the server. */
export async function merged(
  strategy: StrategyConfigurationInput,
  base: Float32Array,
  updates: readonly LocalUpdate[],
): Promise<Float32Array> {
  const result = new Uint8Array(base.byteLength)
  let written = 0
  await mergeUpdates({
    strategy: strategyOf(readStrategyConfiguration(strategy)),
    updates: updates.map(({ difference, ...update }) => ({ ...update, open: inMemory(difference) })),
    base: inMemory(base),
    parameterCount: base.length,
    trainableCount: base.length,
    context: { round: 1, participants: updates.length, learningRate: 1 },
    write: (bytes) => {
      result.set(bytes, written)
      written += bytes.byteLength
      return Promise.resolve()
    },
  })
  return new Float32Array(result.buffer)
}

/** New parameters minus old ones. */
export function differenceOf(trained: Float32Array, base: Float32Array): Float32Array {
  return trained.map((value, index) => value - (base[index] ?? 0))
}

function inMemory(values: Float32Array): OpenReader {
  return () =>
    Promise.resolve({
      length: values.length,
      read: (start, into) => {
        into.set(values.subarray(start, start + into.length))
        return Promise.resolve()
      },
      close: () => Promise.resolve(),
    })
}
