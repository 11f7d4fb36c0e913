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
  readonly #byzantine: number
  /** For each update, the other members from the nearest to the farthest, and how far they are; what follows them is void. */
  readonly #neighbours: readonly Int32Array[]
  readonly #distances: readonly Float64Array[]
  readonly #scores = new Map<number, number>()

  constructor(distances: Float64Array, byzantine: number) {
    const n = Math.sqrt(distances.length)
    this.members = Array.from({ length: n }, (_, k) => k)
    this.#byzantine = byzantine
    this.#neighbours = neighbours(distances, n)
    this.#distances = this.#neighbours.map((order, k) =>
      Float64Array.from(order, (other) => distances[k * n + other] as number),
    )
  }

  /** Sum of squared distances to the nearest n − f − 2 other members, at least one if there is any. */
  of(member: number): number {
    const known = this.#scores.get(member)
    if (known !== undefined) return known
    const others = this.members.length - 1
    const count = Math.min(others, Math.max(1, others - this.#byzantine - 1))
    const distances = this.#distances[member] as Float64Array
    let score = 0
    for (let at = 0; at < count; at++) score += distances[at] as number
    this.#scores.set(member, score)
    return score
  }

  remove(member: number): void {
    this.members = this.members.filter((one) => one !== member)
    this.#scores.clear()
    for (const other of this.members) {
      const order = this.#neighbours[other] as Int32Array
      const at = order.indexOf(member)
      order.copyWithin(at, at + 1)
      this.#distances[other]?.copyWithin(at, at + 1)
    }
  }
}
