/*
 * FedDyn (Acar et al., "Federated Learning Based on Dynamic Regularization", 2021, equation 1): the loss, less
 * ⟨h, w⟩, and α/2 · ‖w - reference‖². Its gradient is g - h + α(w - reference), where h is the gradient of this client's
 * loss where it ended last time, and zero at first.
 */
import { plusScaled } from '../gradient.ts'
import type { GradientRule, ObjectiveContext, ObjectiveOf } from './objective.ts'

export function fedDyn(
  { alpha }: ObjectiveOf<'FedDyn'>,
  { builder, constant }: ObjectiveContext,
): GradientRule {
  return (parameter) => {
    const distance = builder.add('Sub', [parameter.name, constant(parameter, 'reference')])
    const pulled = plusScaled(builder, parameter.gradient, { value: distance, factor: alpha })
    return builder.add('Sub', [pulled, constant(parameter, 'dynamicGradient')])
  }
}
