/*
 * SCAFFOLD (Karimireddy et al., "SCAFFOLD: Stochastic Controlled Averaging for Federated Learning", 2020): each local
 * step follows g + c - cᵢ, with the control variates of the server (c) and of this client (cᵢ).
 */
import { plusScaled } from '../gradient.ts'
import type { GradientRule, ObjectiveContext } from './objective.ts'

export function scaffold({ builder, constant }: ObjectiveContext): GradientRule {
  return (parameter) => {
    const controls = [constant(parameter, 'serverControl'), constant(parameter, 'clientControl')]
    const correction = builder.add('Sub', controls)
    return plusScaled(builder, parameter.gradient, { value: correction, factor: 1 })
  }
}
