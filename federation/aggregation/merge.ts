// The merging engine: reads the updates of a round slice by slice, combines them as the strategy says, makes the server's
// step from the base parameters and the server state, and hands new parameters and new state to sinks, first value
// first. Guarantees: the result depends on the set of updates alone (they are taken in the order of their participants'
// names); working memory and open readers are bounded whatever the number of updates; every read is awaited, so other work
// of the process goes on between slices; nothing that is not a finite number is handed on.
import { Combiner } from './combine.ts'
import { GRAM_LANES, type Kernels } from './kernels.ts'
import { measure } from './measure.ts'
import { Sources, type OpenReader, type Source } from './reader.ts'
import { referenceKernels } from './reference-kernels.ts'
import { Rows } from './rows.ts'
import { combiningSlice, pairsBytes, slicesOf, type Slice } from './slices.ts'
import { allWithSums } from './summed.ts'
import type {
  Combination,
  Combinations,
  RoundContext,
  StepContext,
  Strategy,
  UpdateDescription,
} from './strategy.ts'

/**
 * An accepted update: new parameters − the parameters that it started from, trainable values first, then running state, then the
 * sections that the strategy asks for.
 */
export interface AcceptedUpdate extends UpdateDescription {
  readonly open: OpenReader
  /**
   * The values are Σ samples · update over the members of a tier, as `sumUpdates` makes them, and `samples` is the sum of theirs.
   * Only for strategies that allow tiers.
   */
  readonly summed?: boolean
}

/** Receives float32 values, little-endian, in order. The buffer is reused after the promise is fulfilled. */
export type Sink = (bytes: Uint8Array) => Promise<void>

export interface MergeOptions {
  readonly strategy: Strategy
  readonly updates: readonly AcceptedUpdate[]
  /** The global parameters of the round: `parameterCount` values. */
  readonly base: OpenReader
  readonly parameterCount: number
  /** Values at the beginning of the parameters that training moves; the rest is running state. */
  readonly trainableCount: number
  readonly context: RoundContext
  /** Server state as the merge before left it, in the order of the strategy's `serverState`; absent for the first merge. */
  readonly state?: readonly OpenReader[]
  readonly write: Sink
  /** Sinks of the new server state, in the same order; needed when the strategy keeps any. */
  readonly writeState?: readonly Sink[]
  readonly kernels?: Kernels
  readonly signal?: AbortSignal
  /** Working memory of the merge. Strategies that compare updates take at least 24 bytes for each pair and 4 KiB an update. */
  readonly memoryBytes?: number
}

const DEFAULT_MEMORY_BYTES = 8 * 1024 * 1024

/** Merges the updates. Rejects, with what would be right, when the strategy cannot merge them or a reader has another length. */
export async function mergeUpdates(options: MergeOptions): Promise<void> {
  const updates = inParticipantOrder(options.updates)
  refuseProblems(options, updates)
  const { strategy, kernels = referenceKernels, signal } = options
  const { parameterCount, trainableCount } = options
  signal?.throwIfAborted()
  const length = parameterCount + strategy.sections.length * trainableCount
  const sources = new Sources(
    updates.map(({ participant, open }) => ({ name: `update of ${participant}`, length, open })),
  )
  const ground = new Sources([
    { name: 'base', length: parameterCount, open: options.base },
    ...(options.state ?? []).map((open, k) => stateSource(options, k, open)),
  ])
  try {
    const rows = new Rows(sources, kernels, signal)
    const pairs = strategy.geometry === 'Pairs' ? pairsBytes(updates.length) : 0
    const memoryBytes = (options.memoryBytes ?? DEFAULT_MEMORY_BYTES) - pairs
    const shape = { updates: updates.length, parameterCount, trainableCount }
    const geometry = await measure(strategy.geometry, { rows, ...shape, kernels, memoryBytes })
    const combined = strategy.combine({ updates, context: options.context, geometry })
    const combinations = allWithSums(combined, updates)
    const budget = { length: parameterCount, memoryBytes, taken: rows.bytes }
    const longest = combiningSlice(combinations, strategy.serverState.length, budget)
    const combiner = new Combiner(rows, kernels)
    await new Merge(options, combinations, combiner, ground).run(longest)
  } finally {
    await Promise.all([sources.close(), ground.close()])
  }
}

function stateSource({ strategy, trainableCount }: MergeOptions, index: number, open: OpenReader): Source {
  return { name: `server state ${strategy.serverState[index]}`, length: trainableCount, open }
}

/** The order in which updates are added up. Throws when a participant has two. */
export function inParticipantOrder(updates: readonly AcceptedUpdate[]): AcceptedUpdate[] {
  const sorted = updates.toSorted((a, b) => (a.participant < b.participant ? -1 : 1))
  for (const [index, update] of sorted.entries()) {
    if (sorted[index + 1]?.participant === update.participant) {
      throw new Error(`participant ${update.participant} has two updates; each counts once`)
    }
  }
  return sorted
}

function refuseProblems(options: MergeOptions, updates: readonly AcceptedUpdate[]): void {
  const { strategy, trainableCount, parameterCount, state, writeState } = options
  const problem =
    strategy.precondition(updates.length) ??
    updates.map((update) => strategy.problemWith(update)).find((one) => one !== undefined)
  if (problem !== undefined) throw new Error(problem)
  const sum = updates.find(({ summed }) => summed)
  if (sum && !strategy.allowsTiers) {
    throw new Error(
      `the update of ${sum.participant} is a sum of updates; ${strategy.type} merges each one by itself`,
    )
  }
  if (trainableCount > parameterCount) {
    throw new RangeError(`trainableCount is ${trainableCount}; the parameters are ${parameterCount}`)
  }
  const vectors = strategy.serverState.length
  if ((state ?? strategy.serverState).length !== vectors || (writeState ?? []).length !== vectors) {
    throw new Error(
      `${strategy.type} keeps ${vectors} server state vectors (${strategy.serverState.join(', ')}); there are ${state?.length ?? 'no'} readers and ${writeState?.length ?? 'no'} sinks`,
    )
  }
}

/** The pass that combines, steps and writes. */
class Merge {
  readonly #options: MergeOptions
  readonly #combinations: Combinations
  readonly #combiner: Combiner
  readonly #ground: Sources
  readonly #context: StepContext

  constructor(options: MergeOptions, combinations: Combinations, combiner: Combiner, ground: Sources) {
    this.#options = options
    this.#combinations = combinations
    this.#combiner = combiner
    this.#ground = ground
    this.#context = { ...options.context, updates: options.updates.length }
  }

  async run(longest: number): Promise<void> {
    const { strategy, trainableCount, parameterCount, signal } = this.#options
    const buffers = new SliceBuffers(longest, strategy)
    for (const slice of slicesOf(0, trainableCount, longest)) {
      signal?.throwIfAborted()
      await this.#mergeTrainable(slice, buffers)
    }
    for (const slice of slicesOf(trainableCount, parameterCount, longest)) {
      signal?.throwIfAborted()
      await this.#addMean(this.#combinations.running, slice, buffers)
    }
  }

  async #mergeTrainable(slice: Slice, buffers: SliceBuffers): Promise<void> {
    const { strategy, write, writeState = [] } = this.#options
    const { base, aggregate, sections, state, out } = buffers.of(slice.length)
    if (!strategy.step) {
      await this.#addMean(this.#combinations.trainable, slice, buffers)
      return
    }
    await this.#ground.read(0, slice.start, base)
    for (const [k, values] of state.entries()) await this.#readState(k, slice.start, values)
    await this.#mean(this.#combinations.trainable, slice, aggregate)
    await this.#meanOfSections(slice, sections)
    strategy.step({ base, aggregate, sections, state, out }, this.#context)
    for (const [k, name] of strategy.serverState.entries()) {
      const sink = writeState[k] as Sink
      await this.#writeFinite(sink, state[k] as Float32Array, {
        start: slice.start,
        what: `server state ${name}`,
      })
    }
    await this.#writeFinite(write, out, { start: slice.start, what: 'the merged parameters' })
  }

  async #meanOfSections({ start, length }: Slice, sections: readonly Float64Array[]): Promise<void> {
    const { parameterCount, trainableCount } = this.#options
    for (const [k, combination] of this.#combinations.sections.entries()) {
      const first = parameterCount + k * trainableCount + start
      await this.#mean(combination, { start: first, length }, sections[k] as Float64Array)
    }
  }

  async #mean(combination: Combination, slice: Slice, into: Float64Array): Promise<void> {
    const divisor = await this.#combiner.combine(combination, slice, into)
    for (let i = 0; i < into.length; i++) into[i] = (into[i] as number) / divisor
  }

  /** New parameters = base + mean: all that happens to running state, and to trainable values unless the strategy steps itself. */
  async #addMean(combination: Combination, slice: Slice, buffers: SliceBuffers): Promise<void> {
    const { kernels = referenceKernels, write } = this.#options
    const { base, aggregate, out } = buffers.of(slice.length)
    await this.#ground.read(0, slice.start, base)
    const divisor = await this.#combiner.combine(combination, slice, aggregate)
    kernels.addMean(out, base, { sums: aggregate, divisor })
    await this.#writeFinite(write, out, { start: slice.start, what: 'the merged parameters' })
  }

  async #readState(index: number, start: number, into: Float32Array): Promise<void> {
    if (this.#options.state) await this.#ground.read(1 + index, start, into)
    else into.fill(0)
  }

  async #writeFinite(
    sink: Sink,
    values: Float32Array,
    { start, what }: { start: number; what: string },
  ): Promise<void> {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    const { kernels = referenceKernels } = this.#options
    if (!areFinite(kernels, bytes)) {
      const wrong = values.findIndex((value) => !Number.isFinite(value))
      const found = `value ${start + wrong} of ${what} became ${values[wrong]}`
      throw new RangeError(`${found}; ${this.#options.strategy.type} diverged, or an update was too large`)
    }
    await sink(bytes)
  }
}

/** Whether all float32 values are finite: squares of finite ones, and their sums, are finite in float64. */
export function areFinite(kernels: Kernels, bytes: Uint8Array): boolean {
  const lanes = new Float64Array(GRAM_LANES)
  kernels.addSquares(lanes, bytes, 0)
  return lanes.every(Number.isFinite)
}

/** The buffers of a slice, made once. */
class SliceBuffers {
  readonly #base: Float32Array
  readonly #out: Float32Array
  readonly #aggregate: Float64Array
  readonly #sections: readonly Float64Array[]
  readonly #state: readonly Float32Array[]

  constructor(longest: number, strategy: Strategy) {
    this.#base = new Float32Array(longest)
    this.#out = new Float32Array(longest)
    this.#aggregate = new Float64Array(longest)
    this.#sections = strategy.sections.map(() => new Float64Array(longest))
    this.#state = strategy.serverState.map(() => new Float32Array(longest))
  }

  of(length: number): {
    base: Float32Array
    out: Float32Array
    aggregate: Float64Array
    sections: Float64Array[]
    state: Float32Array[]
  } {
    return {
      base: this.#base.subarray(0, length),
      out: this.#out.subarray(0, length),
      aggregate: this.#aggregate.subarray(0, length),
      sections: this.#sections.map((values) => values.subarray(0, length)),
      state: this.#state.map((values) => values.subarray(0, length)),
    }
  }
}
