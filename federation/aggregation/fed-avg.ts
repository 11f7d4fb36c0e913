// Federated averaging (McMahan et al., 2017): the mean of the updates weighted by their training samples.
// Sums are float64 and run in the given order, so the same updates in the same order give the same bits.
import type { AggregationStrategy, SliceAggregation, UpdateDescription } from './strategy.ts'

export const fedAvg: AggregationStrategy = {
  name: 'FedAvg',
  bytesPerValue: () => Float64Array.BYTES_PER_ELEMENT,
  start: (updates, capacity) => new WeightedMean(updates, capacity),
}

class WeightedMean implements SliceAggregation {
  readonly #weights: readonly number[]
  readonly #totalWeight: number
  readonly #sums: Float64Array
  #length = 0

  constructor(updates: readonly UpdateDescription[], capacity: number) {
    this.#weights = updates.map((update) => update.samples)
    this.#totalWeight = this.#weights.reduce((sum, weight) => sum + weight, 0)
    if (!(this.#totalWeight > 0)) {
      throw new RangeError(
        `samples of all updates together are ${this.#totalWeight}; FedAvg needs at least 1`,
      )
    }
    this.#sums = new Float64Array(capacity)
  }

  begin(length: number): void {
    this.#length = length
    this.#sums.fill(0, 0, length)
  }

  add(index: number, values: Float32Array): void {
    const weight = this.#weights[index]
    if (weight === undefined) throw new RangeError(`update ${index} is not one of ${this.#weights.length}`)
    const sums = this.#sums
    for (let i = 0; i < this.#length; i++) sums[i] = (sums[i] as number) + weight * (values[i] as number)
  }

  finish(out: Float32Array): void {
    for (let i = 0; i < this.#length; i++) out[i] = (this.#sums[i] as number) / this.#totalWeight
  }
}
