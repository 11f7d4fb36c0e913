// q-FedAvg (Li et al., "Fair Resource Allocation in Federated Learning", ICLR 2020, Algorithm 2): with L = 1/learning rate
// and F the loss of the received parameters, x ← x + Σ L·F^q·Δ / Σ h, where h = q·F^(q−1)·‖L·Δ‖² + L·F^q.
// As in Flower, 1e-10 is added to each loss, and the norm is over all trainable values. Flower takes the training loss
// that the participant reports; here it is the loss before training, as in the paper. All sums are divided by the
// largest F^q, which changes nothing but keeps large losses from overflowing.
import type { Configured } from './configuration.ts'
import { meanBySamples, plainRule } from './mean.ts'
import type { CombineInput, Combinations, MergingRule, UpdateDescription } from './strategy.ts'

const SMALLEST_LOSS = 1e-10

export function qFedAvg({ q }: Configured<'QFedAvg'>): MergingRule {
  return {
    ...plainRule,
    needsInitialLoss: true,
    geometry: 'Norms',
    problemWith: ({ participant, initialLoss }: UpdateDescription) =>
      initialLoss !== undefined && Number.isFinite(initialLoss) && initialLoss >= 0
        ? undefined
        : `initialLoss of ${participant} is ${initialLoss}; QFedAvg needs a finite number of at least 0`,
    combine: ({ updates, context, geometry }: CombineInput): Combinations => {
      const lipschitz = 1 / context.learningRate
      const losses = updates.map(({ initialLoss }) => (initialLoss ?? 0) + SMALLEST_LOSS)
      const largest = losses.reduce((most, loss) => Math.max(most, loss), 0)
      const weights = Float64Array.from(losses, (loss) => lipschitz * (loss / largest) ** q)
      const divisor = losses.reduce((sum, loss, k) => {
        const squaredNorm = lipschitz * (geometry[k] as number)
        return sum + (weights[k] as number) * ((q / loss) * squaredNorm + 1)
      }, 0)
      return {
        trainable: { how: 'WeightedSum', weights, divisor },
        running: meanBySamples(updates),
        sections: [],
      }
    },
  }
}
