// FedDyn (Acar et al., ICLR 2021, Algorithm 1): h ← h − α·(1/m)·ΣΔ over the updates, m being all participants of the
// campaign, and x ← x + mean(Δ) − h/α. As in the paper, all participants count the same, whatever their samples. The
// dynamic regulariser itself is in the participants' training step.
import type { Configured } from './configuration.ts'
import { equalMean, everywhere, plainRule } from './mean.ts'
import type { CombineInput, MergingRule, ServerSlice, StepContext } from './strategy.ts'

export function fedDyn({ alpha }: Configured<'FedDyn'>): MergingRule {
  return {
    ...plainRule,
    serverState: ['h'],
    combine: ({ updates }: CombineInput) => everywhere(equalMean(updates.length)),
    step: ({ base, aggregate, state, out }: ServerSlice, { updates, participants }: StepContext): void => {
      const h = state[0] as Float32Array
      const share = (alpha * updates) / participants
      for (let i = 0; i < out.length; i++) {
        const mean = aggregate[i] as number
        h[i] = (h[i] as number) - share * mean
        out[i] = (base[i] as number) + mean - (h[i] as number) / alpha
      }
    },
  }
}
