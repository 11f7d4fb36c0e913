// Combines one slice of all updates as a strategy said: reads the updates that count, a few or all at a time, and leaves
// the aggregate in float64. Weighted sums run in the order of the updates.
import type { Kernels } from './kernels.ts'
import type { Sources } from './reader.ts'
import { UPDATES_PER_PASS, updatesInMemory, type Slice } from './slices.ts'
import type { Combination } from './strategy.ts'

type WeightedSum = Extract<Combination, { how: 'WeightedSum' }>
type Sorted = Exclude<Combination, WeightedSum>

export class Combiner {
  readonly #sources: Sources
  readonly #kernels: Kernels
  readonly #signal: AbortSignal | undefined
  readonly #buffers: Float32Array[] = []
  readonly #longest: number
  readonly #sorted: Float32Array

  /** @param longest the longest slice that will be asked for */
  constructor(sources: Sources, kernels: Kernels, longest: number, signal: AbortSignal | undefined) {
    this.#sources = sources
    this.#kernels = kernels
    this.#signal = signal
    this.#longest = longest
    this.#sorted = new Float32Array(longest)
  }

  async combine(combination: Combination, { start, length }: Slice, into: Float64Array): Promise<void> {
    while (this.#buffers.length < updatesInMemory(combination)) {
      this.#buffers.push(new Float32Array(this.#longest))
    }
    if (combination.how === 'WeightedSum') await this.#weightedSum(combination, { start, length }, into)
    else await this.#sortedValues(combination, { start, length }, into)
  }

  async #weightedSum({ weights, divisor }: WeightedSum, slice: Slice, into: Float64Array): Promise<void> {
    const members = [...weights.keys()].filter((k) => weights[k] !== 0)
    into.fill(0)
    for (let at = 0; at < members.length; at += UPDATES_PER_PASS) {
      const pass = members.slice(at, at + UPDATES_PER_PASS)
      const values = await this.#read(pass, slice)
      this.#kernels.accumulate(
        into,
        values,
        Float64Array.from(pass, (k) => weights[k] as number),
      )
    }
    for (let i = 0; i < into.length; i++) into[i] = (into[i] as number) / divisor
  }

  async #sortedValues(combination: Sorted, slice: Slice, into: Float64Array): Promise<void> {
    const values = await this.#read(combination.members, slice)
    const out = this.#sorted.subarray(0, slice.length)
    if (combination.how === 'SortedMean') this.#kernels.sortedMean(out, values, combination)
    else this.#kernels.meanAroundMedian(out, values, combination.count)
    into.set(out)
  }

  async #read(members: readonly number[], { start, length }: Slice): Promise<Float32Array[]> {
    const values: Float32Array[] = []
    for (const [turn, member] of members.entries()) {
      this.#signal?.throwIfAborted()
      const into = (this.#buffers[turn] as Float32Array).subarray(0, length)
      await this.#sources.read(member, start, into)
      values.push(into)
    }
    return values
  }
}
