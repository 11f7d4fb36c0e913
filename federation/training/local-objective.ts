// What a strategy has its nodes minimise: the part of a strategy that is compiled into the training step. The operator
// writes it into the plan and the hub checks that it is there.
import type { StrategyConfiguration } from '../aggregation/configuration.ts'
import type { Objective } from './configuration.ts'

export function localObjectiveOf(strategy: StrategyConfiguration): Objective {
  switch (strategy.type) {
    case 'FedProx':
      return strategy.mu > 0 ? { type: 'Proximal', mu: strategy.mu } : { type: 'Plain' }
    case 'Scaffold':
      return { type: 'Scaffold' }
    case 'FedDyn':
      return { type: 'FedDyn', alpha: strategy.alpha }
    default:
      return { type: 'Plain' }
  }
}
