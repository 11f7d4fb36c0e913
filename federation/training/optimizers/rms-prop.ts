/*
 * torch.optim.RMSprop (Tieleman and Hinton, 2012; centred as in Graves, 2013):
 *   v' = αv + (1 - α)g²;  d = g / (√v' + ε);  w' = w - rate · d, or with momentum b' = μb + d, w' = w - rate · b'
 * Centred, v' is lessened by the square of ā' = αā + (1 - α)g. Rounding can make that difference less than 0, whose
 * root is not a number in PyTorch; here it counts as 0. The state holds v/(1 - α) and ā/(1 - α).
 */
import type { Trainable } from '../gradient.ts'
import {
  decayingSum,
  descend,
  type OptimizerContext,
  type OptimizerOf,
  square,
  type UpdateRule,
} from './optimizer.ts'

export function rmsProp(options: OptimizerOf<'RMSProp'>, context: OptimizerContext): UpdateRule {
  const { builder, learningRate, state } = context
  const { alpha, epsilon, momentum } = options
  // g / (√((1 - α)V) + ε) = [1/√(1 - α)] · g / (√V + ε/√(1 - α))
  const scale = 1 / Math.sqrt(1 - alpha)
  const rate = builder.add('Mul', [learningRate, builder.scalar(scale)])
  return (parameter) => {
    const root = builder.add('Sqrt', [variance(parameter, options, context)])
    const divisor = builder.add('Add', [root, builder.scalar(epsilon * scale)])
    const direction = builder.add('Div', [parameter.gradient, divisor])
    if (momentum === 0) return descend(builder, parameter.name, { direction, rate })
    const moment = state(parameter, {
      kind: 'momentum',
      next: (previous) => decayingSum(builder, { previous, factor: momentum, summand: direction }),
    })
    return descend(builder, parameter.name, { direction: moment, rate })
  }
}

/** v'/(1 - α) */
function variance(
  parameter: Trainable,
  { alpha, centered }: OptimizerOf<'RMSProp'>,
  { builder, state }: OptimizerContext,
): string {
  const average = (kind: string, summand: string): string => {
    const next = (previous: string): string => decayingSum(builder, { previous, factor: alpha, summand })
    return state(parameter, { kind, next })
  }
  const squares = average('square_average', square(builder, parameter.gradient))
  if (!centered) return squares
  const mean = square(builder, average('gradient_average', parameter.gradient))
  const meanSquare = builder.add('Mul', [mean, builder.scalar(1 - alpha)])
  return builder.add('Relu', [builder.add('Sub', [squares, meanSquare])])
}
