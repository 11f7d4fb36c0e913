// FedAdagrad (Reddi et al., "Adaptive Federated Optimization", ICLR 2021, Algorithm 2 with β₁ = 0): v ← v + Δ² and
// x ← x + η·Δ/(√v + τ), where Δ is the mean of the updates weighted by samples.
// As in Flower, v starts at 0; in the paper at τ² or more.
import type { Configured } from './configuration.ts'
import { fedAvg } from './fed-avg.ts'
import type { MergingRule, ServerSlice } from './strategy.ts'

export function fedAdagrad({ serverLearningRate, tau }: Configured<'FedAdagrad'>): MergingRule {
  return {
    ...fedAvg(),
    serverState: ['secondMoment'],
    step: ({ base, aggregate, state, out }: ServerSlice): void => {
      const second = state[0] as Float32Array
      for (let i = 0; i < out.length; i++) {
        const delta = aggregate[i] as number
        second[i] = (second[i] as number) + delta * delta
        out[i] = (base[i] as number) + (serverLearningRate * delta) / (Math.sqrt(second[i] as number) + tau)
      }
    },
  }
}
