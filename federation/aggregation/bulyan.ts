// Bulyan of Krum (El Mhamdi, Guerraoui and Rouault, ICML 2018): Krum picks an update, which is set aside, and again among
// the rest, until n − 2f are picked; of each value, the mean of the n − 4f picked ones nearest to their median is taken.
// As in the paper, and in flwr.server.strategy.Bulyan, the picks are one after the other; flwr.serverapp.strategy.Bulyan
// takes the n − 2f best scores at once. All updates count the same.
import type { Configured } from './configuration.ts'
import { KrumScores } from './krum.ts'
import { everywhere, plainRule } from './mean.ts'
import { squaredDistances } from './neighbours.ts'
import type { CombineInput, MergingRule } from './strategy.ts'

export function bulyan({ byzantine }: Configured<'Bulyan'>): MergingRule {
  return {
    ...plainRule,
    geometry: 'Pairs',
    combine: ({ updates, geometry }: CombineInput) => {
      const n = updates.length
      const scores = new KrumScores(squaredDistances(geometry, n), byzantine)
      const picked: number[] = []
      while (picked.length < n - 2 * byzantine) {
        const best = scores.members.reduce((a, b) => (scores.of(b) < scores.of(a) ? b : a))
        picked.push(best)
        scores.remove(best)
      }
      const members = picked.sort((a, b) => a - b)
      return everywhere({ how: 'MeanAroundMedian', members, count: n - 4 * byzantine })
    },
  }
}
