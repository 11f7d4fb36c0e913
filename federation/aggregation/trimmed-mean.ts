// Coordinate-wise trimmed mean (Yin et al., ICML 2018, Option II): of each value, the `trimmed` largest and as many
// smallest are left out, and the mean is taken of the rest. All updates count the same, whatever the samples that they
// claim. Flower cuts a fraction β of n updates: the same for trimmed = ⌊β·n⌋.
import type { Configured } from './configuration.ts'
import { everywhere, plainRule } from './mean.ts'
import type { CombineInput, MergingRule } from './strategy.ts'

export function trimmedMean({ trimmed }: Configured<'TrimmedMean'>): MergingRule {
  return {
    ...plainRule,
    combine: ({ updates }: CombineInput) =>
      everywhere({
        how: 'SortedMean',
        members: [...updates.keys()],
        lo: trimmed,
        hi: updates.length - trimmed,
      }),
  }
}
