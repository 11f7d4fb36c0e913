// Federated averaging (McMahan et al., AISTATS 2017, Algorithm 1): the parameters move by the mean of the updates,
// weighted by training samples.
// FedProx (Li et al., MLSys 2020) merges the same way; its proximal term is in the participants' training step.
import { everywhere, meanBySamples, plainRule } from './mean.ts'
import type { MergingRule } from './strategy.ts'

export function fedAvg(): MergingRule {
  return {
    ...plainRule,
    allowsTiers: true,
    combine: ({ updates }) => everywhere(meanBySamples(updates)),
  }
}
