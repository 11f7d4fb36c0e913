// Combines one slice of all updates as a strategy said: reads the updates that count, a few or all at a time, and leaves
// the aggregate in float64. Weighted sums run in the order of the updates.
import type { Kernels } from './kernels.ts'
import type { Rows } from './rows.ts'
import { UPDATES_PER_PASS, type Slice } from './slices.ts'
import type { Combination } from './strategy.ts'

type WeightedSum = Extract<Combination, { how: 'WeightedSum' }>
type Sorted = Exclude<Combination, WeightedSum>

/** The updates of a weighted sum that count, all together and a pass at a time. */
interface Terms {
  readonly members: readonly number[]
  readonly weights: Float64Array
  readonly passes: readonly (readonly number[])[]
}

export class Combiner {
  readonly #rows: Rows
  readonly #kernels: Kernels
  readonly #terms = new Map<WeightedSum, Terms>()
  #sorted = new Float32Array(0)

  constructor(rows: Rows, kernels: Kernels) {
    this.#rows = rows
    this.#kernels = kernels
  }

  /** Fills `sums`; @returns what they must still be divided by. */
  async combine(combination: Combination, slice: Slice, sums: Float64Array): Promise<number> {
    if (combination.how !== 'WeightedSum') {
      await this.#sortedValues(combination, slice, sums)
      return 1
    }
    sums.fill(0)
    await this.#add(this.#termsOf(combination), slice, sums)
    return combination.divisor
  }

  #termsOf(combination: WeightedSum): Terms {
    const known = this.#terms.get(combination)
    if (known) return known
    const members = [...combination.weights.keys()].filter((k) => combination.weights[k] !== 0)
    const weights = Float64Array.from(members, (k) => combination.weights[k] as number)
    const passes: number[][] = []
    for (let at = 0; at < members.length; at += UPDATES_PER_PASS) {
      passes.push(members.slice(at, at + UPDATES_PER_PASS))
    }
    this.#terms.set(combination, { members, weights, passes })
    return { members, weights, passes }
  }

  async #add({ members, weights, passes }: Terms, slice: Slice, sums: Float64Array): Promise<void> {
    const places = await this.#rows.places(members)
    if (places.in === 'Memory') {
      this.#kernels.accumulate(sums, await this.#rows.read(members, slice), weights)
    } else if (places.in === 'Files' && this.#kernels.accumulateFiles) {
      const { descriptors } = places
      const offset = places.offset + slice.start * Float32Array.BYTES_PER_ELEMENT
      const buffer = this.#rows.buffer(Math.min(UPDATES_PER_PASS, members.length) * slice.length)
      await this.#kernels.accumulateFiles(sums, { descriptors, weights, offset }, buffer)
    } else {
      for (const [turn, pass] of passes.entries()) {
        const first = turn * UPDATES_PER_PASS
        const values = await this.#rows.read(pass, slice)
        this.#kernels.accumulate(sums, values, weights.subarray(first, first + pass.length))
      }
    }
  }

  async #sortedValues(combination: Sorted, slice: Slice, into: Float64Array): Promise<void> {
    const values = await this.#rows.read(combination.members, slice)
    if (this.#sorted.length < slice.length) this.#sorted = new Float32Array(slice.length)
    const out = this.#sorted.subarray(0, slice.length)
    if (combination.how === 'SortedMean') this.#kernels.sortedMean(out, values, combination)
    else this.#kernels.meanAroundMedian(out, values, combination.count)
    into.set(out)
  }
}
