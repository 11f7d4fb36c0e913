/*
 * FedProx (Li et al., "Federated Optimization in Heterogeneous Networks", 2020): the loss and μ/2 · ‖w - reference‖²,
 * whose gradient is μ(w - reference). The reference is the global model. Ditto (Li et al., 2021) trains its personal
 * model v with the same objective, μ = λ, starting from v.
 */
import { plusScaled } from '../gradient.ts'
import type { GradientRule, ObjectiveContext, ObjectiveOf } from './objective.ts'

export function proximal(
  { mu }: ObjectiveOf<'Proximal'>,
  { builder, constant }: ObjectiveContext,
): GradientRule {
  return (parameter) => {
    const distance = builder.add('Sub', [parameter.name, constant(parameter, 'reference')])
    return plusScaled(builder, parameter.gradient, { value: distance, factor: mu })
  }
}
