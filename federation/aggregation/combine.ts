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

  async #weightedSum(combination: WeightedSum, slice: Slice, into: Float64Array): Promise<void> {
    const members = [...combination.weights.keys()].filter((k) => combination.weights[k] !== 0)
    const weights = Float64Array.from(members, (k) => combination.weights[k] as number)
    into.fill(0)
    if (!(await this.#addFiles(members, weights, { slice, into }))) {
      for (let at = 0; at < members.length; at += UPDATES_PER_PASS) {
        const values = await this.#read(members.slice(at, at + UPDATES_PER_PASS), slice)
        this.#kernels.accumulate(into, values, weights.subarray(at, at + UPDATES_PER_PASS))
      }
    }
    const { divisor } = combination
    for (let i = 0; i < into.length; i++) into[i] = (into[i] as number) / divisor
  }

  /** Lets the kernels read the files themselves; false when they cannot, or the values are not there as they are. */
  async #addFiles(
    members: readonly number[],
    weights: Float64Array,
    { slice, into }: { slice: Slice; into: Float64Array },
  ): Promise<boolean> {
    const files = this.#kernels.accumulateFiles && (await this.#sources.files(members))
    if (!files) return false
    this.#signal?.throwIfAborted()
    const offset = files.offset + slice.start * Float32Array.BYTES_PER_ELEMENT
    await this.#kernels.accumulateFiles?.(into, files.descriptors, weights, offset)
    return true
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
