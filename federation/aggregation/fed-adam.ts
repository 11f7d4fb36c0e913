// FedAdam (Reddi et al., "Adaptive Federated Optimization", ICLR 2021, Algorithm 2): m ← β₁m + (1−β₁)Δ, v ← β₂v + (1−β₂)Δ²
// and x ← x + η·m/(√v + τ), where Δ is the mean of the updates weighted by samples.
// As in Flower, and unlike the paper, v starts at 0 and not at τ², and η is multiplied by √(1−β₂^(t+1))/(1−β₁^(t+1)) in
// round t = 1, 2, … (Adam's correction of the bias, one round ahead), so that plans tuned with Flower do the same here.
import type { Configured } from './configuration.ts'
import { fedAvg } from './fed-avg.ts'
import type { MergingRule, ServerSlice, StepContext } from './strategy.ts'

export function fedAdam({ serverLearningRate, beta1, beta2, tau }: Configured<'FedAdam'>): MergingRule {
  return {
    ...fedAvg(),
    serverState: ['firstMoment', 'secondMoment'],
    step: ({ base, aggregate, state, out }: ServerSlice, { round }: StepContext): void => {
      const [first, second] = state as [Float32Array, Float32Array]
      const rate = (serverLearningRate * Math.sqrt(1 - beta2 ** (round + 1))) / (1 - beta1 ** (round + 1))
      for (let i = 0; i < out.length; i++) {
        const delta = aggregate[i] as number
        first[i] = beta1 * (first[i] as number) + (1 - beta1) * delta
        second[i] = beta2 * (second[i] as number) + (1 - beta2) * delta * delta
        out[i] = (base[i] as number) + (rate * (first[i] as number)) / (Math.sqrt(second[i] as number) + tau)
      }
    },
  }
}
