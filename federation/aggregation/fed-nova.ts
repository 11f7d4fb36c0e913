// FedNova (Wang et al., NeurIPS 2020): each update is divided by its number of local steps τ, the mean of
// these, weighted by samples, is multiplied by the mean number of steps: x ← x + (Σ pᵢτᵢ)·Σ pᵢΔᵢ/τᵢ with pᵢ = samples/total.
// This is the paper's rule for local SGD, whose ‖a‖₁ is τ; for other local optimisers it is the usual approximation.
import { meanBySamples, plainRule } from './mean.ts'
import type { CombineInput, Combinations, MergingRule, UpdateDescription } from './strategy.ts'

export function fedNova(): MergingRule {
  return {
    ...plainRule,
    problemWith: ({ participant, steps }: UpdateDescription) =>
      steps !== undefined && Number.isSafeInteger(steps) && steps > 0
        ? undefined
        : `steps of ${participant} are ${steps}; FedNova divides by them and needs a whole number of at least 1`,
    combine: ({ updates }: CombineInput): Combinations => {
      const running = meanBySamples(updates)
      const total = updates.reduce((sum, { samples }) => sum + samples, 0)
      const steps = updates.reduce((sum, update) => sum + update.samples * stepsOf(update), 0)
      const weights = Float64Array.from(updates, (update) => update.samples / stepsOf(update))
      return {
        trainable: { how: 'WeightedSum', weights, divisor: (total * total) / steps },
        running,
        sections: [],
      }
    },
  }
}

/** At least 1: `problemWith` lets no other update pass. */
function stepsOf(update: UpdateDescription): number {
  return update.steps ?? 1
}
