// Krum and Multi-Krum (Blanchard et al., NeurIPS 2017): the score of an update is the sum of squared distances to its
// n − f − 2 nearest others; Krum takes the update with the least score, Multi-Krum the mean of the `selected` least.
// As in the paper, all updates count the same; Flower weighs the selected by the samples that they claim. ByzFL's score is
// over n − f − 1 others: its Krum(f + 1) is Krum with byzantine f here. Distances are over all parameters of an update.
import type { Configured } from './configuration.ts'
import { everywhere, meanOf, plainRule } from './mean.ts'
import { squaredDistances } from './neighbours.ts'
import type { CombineInput, MergingRule } from './strategy.ts'

export function krum({ byzantine }: Configured<'Krum'>): MergingRule {
  return multiKrum({ type: 'MultiKrum', byzantine, selected: 1 })
}

export function multiKrum({ byzantine, selected }: Configured<'MultiKrum'>): MergingRule {
  return {
    ...plainRule,
    geometry: 'Pairs',
    combine: ({ updates, geometry }: CombineInput) => {
      const n = updates.length
      const scores = new KrumScores(squaredDistances(geometry, n), byzantine)
      const best = scores.members.toSorted((a, b) => scores.of(a) - scores.of(b) || a - b)
      return everywhere(meanOf(best.slice(0, selected), n))
    },
  }
}

/** Krum's scores among members that become fewer. */
export class KrumScores {
  /** Updates that are left, in order. */
  members: number[]
  readonly #byzantine: number
  readonly #distances: Float64Array
  /** For each update, the distances to the other members in ascending order, and behind them as many void ones as are gone. */
  readonly #sorted: readonly Float64Array[]
  readonly #scores: Float64Array

  /** @param distances squared, n × n, row by row */
  constructor(distances: Float64Array, byzantine: number) {
    const n = Math.sqrt(distances.length)
    this.members = Array.from({ length: n }, (_, k) => k)
    this.#byzantine = byzantine
    this.#distances = distances
    this.#sorted = this.members.map((k) => sortedWithout(distances.subarray(k * n, (k + 1) * n), k))
    this.#scores = new Float64Array(n)
    this.#score()
  }

  /** Sum of squared distances to the nearest n − f − 2 other members, at least one if there is any. */
  of(member: number): number {
    return this.#scores[member] as number
  }

  remove(member: number): void {
    this.members.splice(this.members.indexOf(member), 1)
    for (const other of this.members) {
      const sorted = this.#sorted[other] as Float64Array
      const at = sorted.indexOf(this.#distances[other * this.#sorted.length + member] as number)
      sorted.copyWithin(at, at + 1)
    }
    this.#score()
  }

  #score(): void {
    const others = this.members.length - 1
    const count = Math.min(others, Math.max(1, others - this.#byzantine - 1))
    for (const member of this.members) {
      const sorted = this.#sorted[member] as Float64Array
      let score = 0
      for (let at = 0; at < count; at++) score += sorted[at] as number
      this.#scores[member] = score
    }
  }
}

/** All but the one at `own`. */
function sortedWithout(row: Float64Array, own: number): Float64Array {
  const others = new Float64Array(row.length - 1)
  others.set(row.subarray(0, own))
  others.set(row.subarray(own + 1), own)
  return others.sort()
}
