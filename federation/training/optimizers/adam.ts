/*
 * torch.optim.Adam (Kingma and Ba, 2015):
 *   m' = β₁m + (1 - β₁)g;  v' = β₂v + (1 - β₂)g²;  w' = w - rate · c₁m' / (√(c₂v') + ε)
 * with c₁ = 1/(1 - β₁ᵗ) and c₂ = 1/(1 - β₂ᵗ). The state tensors hold m/(1 - β₁) and v/(1 - β₂); what that leaves
 * over is scalars, which are worked out once a step and not once an element.
 */
import type { Trainable } from '../gradient.ts'
import { decayingSum, type OptimizerContext, type OptimizerOf, square, type UpdateRule } from './optimizer.ts'

export function adam(options: OptimizerOf<'Adam'>, context: OptimizerContext): UpdateRule {
  const stepOf = adamStep(options, context)
  return (parameter) =>
    context.builder.add('Sub', [parameter.name, stepOf(parameter)], {}, `${parameter.name}.next`)
}

/** What Adam subtracts from a parameter. */
export function adamStep(
  { beta1, beta2, epsilon }: Pick<OptimizerOf<'Adam'>, 'beta1' | 'beta2' | 'epsilon'>,
  { builder, learningRate, corrections, state }: OptimizerContext,
): (parameter: Trainable) => string {
  const { first, second } = corrections()
  const scalar = (op: string, a: string, b: string): string => builder.add(op, [a, b])
  const root = builder.add('Sqrt', [scalar('Mul', second, builder.scalar(1 - beta2))])
  const size = scalar('Mul', learningRate, scalar('Mul', first, builder.scalar(1 - beta1)))
  const rate = scalar('Div', size, root)
  const floor = scalar('Div', builder.scalar(epsilon), root)
  return (parameter) => {
    const { gradient } = parameter
    const mean = state(parameter, {
      kind: 'moment_1',
      next: (previous) => decayingSum(builder, { previous, factor: beta1, summand: gradient }),
    })
    const squares = state(parameter, {
      kind: 'moment_2',
      next: (previous) => {
        return decayingSum(builder, { previous, factor: beta2, summand: square(builder, gradient) })
      },
    })
    const divisor = builder.add('Add', [builder.add('Sqrt', [squares]), floor])
    return builder.add('Div', [builder.add('Mul', [mean, rate]), divisor])
  }
}
