// FedYogi (Reddi et al., "Adaptive Federated Optimization", ICLR 2021, Algorithm 2): m ← β₁m + (1−β₁)Δ,
// v ← v − (1−β₂)Δ²·sign(v − Δ²) and x ← x + η·m/(√v + τ), where Δ is the mean of the updates weighted by samples.
// As in Flower, v starts at 0 (in the paper at τ² or more) and no bias is corrected.
import type { Configured } from './configuration.ts'
import { fedAvg } from './fed-avg.ts'
import type { MergingRule, ServerSlice } from './strategy.ts'

export function fedYogi({ serverLearningRate, beta1, beta2, tau }: Configured<'FedYogi'>): MergingRule {
  return {
    ...fedAvg(),
    serverState: ['firstMoment', 'secondMoment'],
    step: ({ base, aggregate, state, out }: ServerSlice): void => {
      const [first, second] = state as [Float32Array, Float32Array]
      for (let i = 0; i < out.length; i++) {
        const delta = aggregate[i] as number
        const square = delta * delta
        first[i] = beta1 * (first[i] as number) + (1 - beta1) * delta
        second[i] = (second[i] as number) - (1 - beta2) * square * Math.sign((second[i] as number) - square)
        out[i] =
          (base[i] as number) +
          (serverLearningRate * (first[i] as number)) / (Math.sqrt(second[i] as number) + tau)
      }
    },
  }
}
