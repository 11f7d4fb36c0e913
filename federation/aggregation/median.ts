// Coordinate-wise median (Yin et al., ICML 2018, Option I): each value moves by the median of what the updates say, the
// middle of two for an even number. As in the paper, all updates count the same, whatever the samples that they claim.
import { medianRange } from './kernels.ts'
import { everywhere, plainRule } from './mean.ts'
import type { CombineInput, MergingRule } from './strategy.ts'

export function median(): MergingRule {
  return {
    ...plainRule,
    combine: ({ updates }: CombineInput) =>
      everywhere({ how: 'SortedMean', members: [...updates.keys()], ...medianRange(updates.length) }),
  }
}
