// Krum and Multi-Krum (Blanchard et al., NeurIPS 2017): the score of an update is the sum of squared distances to its
// n − f − 2 nearest others; Krum takes the update with the least score, Multi-Krum the mean of the `selected` least.
// As in the paper, all updates count the same; Flower weighs the selected by the samples that they claim. ByzFL's score is
// over n − f − 1 others: its Krum(f + 1) is Krum with byzantine f here. Distances are over all parameters of an update.
import type { Configured } from './configuration.ts'
import { everywhere, meanOf, plainRule } from './mean.ts'
import { neighbours, squaredDistances } from './neighbours.ts'
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
  readonly #distances: Float64Array
  readonly #neighbours: readonly Int32Array[]
  readonly #byzantine: number
  readonly #left: Uint8Array
  readonly #scores = new Map<number, number>()

  constructor(distances: Float64Array, byzantine: number) {
    const n = Math.sqrt(distances.length)
    this.#distances = distances
    this.#neighbours = neighbours(distances, n)
    this.#byzantine = byzantine
    this.#left = new Uint8Array(n).fill(1)
    this.members = Array.from({ length: n }, (_, k) => k)
  }

  /** Sum of squared distances to the nearest n − f − 2 other members, at least one. */
  of(member: number): number {
    const known = this.#scores.get(member)
    if (known !== undefined) return known
    const score = this.#score(member)
    this.#scores.set(member, score)
    return score
  }

  remove(member: number): void {
    this.members = this.members.filter((one) => one !== member)
    this.#left[member] = 0
    this.#scores.clear()
  }

  #score(member: number): number {
    const order = this.#neighbours[member] as Int32Array
    const distances = this.#distances.subarray(member * this.#left.length)
    let missing = Math.max(1, this.members.length - this.#byzantine - 2)
    let score = 0
    for (let at = 0; missing > 0 && at < order.length; at++) {
      const other = order[at] as number
      if (this.#left[other] === 0) continue
      score += distances[other] as number
      missing--
    }
    return score
  }
}
