// Federated averaging with server momentum (Hsu, Qi and Brown, 2019): m ← β·m + Δ and x ← x + η·m, where Δ is the mean of
// the updates weighted by samples. As in Flower's FedAvgM, whose vector is −m.
import type { Configured } from './configuration.ts'
import { fedAvg } from './fed-avg.ts'
import type { MergingRule, ServerSlice } from './strategy.ts'

export function fedAvgM({ serverLearningRate, serverMomentum }: Configured<'FedAvgM'>): MergingRule {
  return {
    ...fedAvg(),
    serverState: ['momentum'],
    step: ({ base, aggregate, state, out }: ServerSlice): void => {
      const momentum = state[0] as Float32Array
      for (let i = 0; i < out.length; i++) {
        momentum[i] = serverMomentum * (momentum[i] as number) + (aggregate[i] as number)
        out[i] = (base[i] as number) + serverLearningRate * (momentum[i] as number)
      }
    },
  }
}
