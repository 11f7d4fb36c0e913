// Nearest-neighbour mixing (Allouah et al., "Fixing by Mixing", AISTATS 2023): each update is replaced by the mean of the
// n − f updates nearest to it, itself included. Then norms are clipped to `maximumNorm`; without it, adaptively (Allouah et
// al., "Adaptive Gradient Clipping for Robust Federated Learning", ICLR 2025): the ⌊2f(n−f)/n⌋ longest to the next longest.
// The mean of these is taken, all updates counting the same. Every step is linear in the updates, or follows from their
// inner products: the updates are read twice in all. The steps are those of ByzFL's NNM, Clipping, ARC and Average.
import type { Configured } from './configuration.ts'
import { everywhere, plainRule } from './mean.ts'
import { nearestGroups, squaredDistances } from './neighbours.ts'
import type { CombineInput, MergingRule } from './strategy.ts'

export function normClipping({ byzantine, maximumNorm }: Configured<'NormClipping'>): MergingRule {
  return {
    ...plainRule,
    geometry: 'Pairs',
    combine: ({ updates, geometry }: CombineInput) => {
      const n = updates.length
      const groups = nearestGroups(squaredDistances(geometry, n), n, n - byzantine - 1)
      const norms = groups.map((group) => normOfMean(group, geometry, n))
      const limit = maximumNorm ?? adaptiveLimit(norms, byzantine)
      const weights = new Float64Array(n)
      for (const [i, group] of groups.entries()) {
        const norm = norms[i] as number
        const factor = norm > limit ? limit / norm : 1
        for (const member of group) weights[member] = (weights[member] as number) + factor
      }
      return everywhere({ how: 'WeightedSum', weights, divisor: n * (n - byzantine) })
    },
  }
}

/** ‖Σ x‖ / k: the squares, and twice what is above the diagonal. */
function normOfMean(group: Int32Array, gram: Float64Array, n: number): number {
  let squares = 0
  let products = 0
  for (let at = 0; at < group.length; at++) {
    const row = (group[at] as number) * n
    squares += gram[row + (group[at] as number)] as number
    for (let other = 0; other < at; other++) products += gram[row + (group[other] as number)] as number
  }
  return Math.sqrt(Math.max(0, squares + 2 * products)) / group.length
}

/** The norm that ⌊2f(n−f)/n⌋ of the norms are above. */
function adaptiveLimit(norms: readonly number[], byzantine: number): number {
  const n = norms.length
  const clipped = Math.floor((2 * byzantine * (n - byzantine)) / n)
  return norms.toSorted((a, b) => a - b)[n - clipped - 1] as number
}
