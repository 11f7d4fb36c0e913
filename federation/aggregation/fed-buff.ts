// FedBuff (Nguyen et al., AISTATS 2022, Algorithm 1): x ← x + η·(1/K)·Σ s(τ)·Δ over the K buffered updates, where τ is the
// number of merges since the parameters that an update started from, and s(τ) = 1/√(1+τ).
// As in the paper, all updates count the same, whatever their samples. The division is by the number of updates at
// hand, which is the buffer's size but for the last merge of a campaign.
import type { Configured } from './configuration.ts'
import { discountOf, everywhere, plainRule, stepBy } from './mean.ts'
import type { CombineInput, MergingRule, UpdateDescription } from './strategy.ts'

export function fedBuff({ maxStaleness, serverLearningRate }: Configured<'FedBuff'>): MergingRule {
  return {
    ...plainRule,
    problemWith: ({ participant, staleness = 0 }: UpdateDescription) =>
      Number.isSafeInteger(staleness) && staleness >= 0 && staleness <= maxStaleness
        ? undefined
        : `staleness of ${participant} is ${staleness}; it must be a whole number from 0 to maxStaleness ${maxStaleness}`,
    combine: ({ updates }: CombineInput) =>
      everywhere({
        how: 'WeightedSum',
        weights: Float64Array.from(updates, ({ staleness = 0 }) => discountOf(staleness)),
        divisor: updates.length,
      }),
    step: stepBy(serverLearningRate),
  }
}
