// The updates that the golden files are about, drawn from a seed as testdata/inputs.py draws them.
import type { TestUpdate } from './merging.ts'

/** A linear congruential generator (Numerical Recipes): numbers in [0, 1) from the 32-bit state. */
export class Draw {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return this.#state / 2 ** 32
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }
}

/** Updates around 0.3 with values in a range of 2; the first `liars` are six times as large. */
export function drawnUpdates(draw: Draw, count: number, length: number, liars: number): TestUpdate[] {
  return Array.from({ length: count }, (_, index) => {
    const samples = 1 + draw.below(9)
    const steps = 1 + draw.below(7)
    const initialLoss = 0.1 + draw.next()
    const staleness = draw.below(5)
    const scale = index < liars ? 6 : 1
    const values = Float32Array.from({ length }, () => scale * (2 * draw.next() - 0.7))
    const participant = `node-${String(index).padStart(2, '0')}`
    return { participant, samples, steps, initialLoss, staleness, values }
  })
}
