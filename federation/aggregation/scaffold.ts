// SCAFFOLD (Karimireddy et al., ICML 2020, Algorithm 1): x ← x + η·mean(Δy) and c ← c + (|S|/N)·mean(Δc), where S are the
// participants of the round and N all of the campaign. Updates carry Δc, the change of the participant's control
// variate, behind Δy. As in the paper, all participants count the same, whatever their samples.
import type { Configured } from './configuration.ts'
import { equalMean, plainRule } from './mean.ts'
import type { CombineInput, Combinations, MergingRule, ServerSlice } from './strategy.ts'

export function scaffold({ serverLearningRate }: Configured<'Scaffold'>): MergingRule {
  return {
    ...plainRule,
    sections: ['control'],
    serverState: ['control'],
    combine: ({ updates, context }: CombineInput): Combinations => {
      const mean = equalMean(updates.length)
      // (|S|/N) · mean = sum / N
      const control = { ...mean, divisor: context.participants }
      return { trainable: mean, running: mean, sections: [control] }
    },
    step: ({ base, aggregate, sections, state, out }: ServerSlice): void => {
      const control = state[0] as Float32Array
      const change = sections[0] as Float64Array
      for (let i = 0; i < out.length; i++) {
        out[i] = (base[i] as number) + serverLearningRate * (aggregate[i] as number)
        control[i] = (control[i] as number) + (change[i] as number)
      }
    },
  }
}
