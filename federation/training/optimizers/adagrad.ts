/*
 * torch.optim.Adagrad without decay of the rate (Duchi, Hazan and Singer, 2011):
 *   s' = s + g²;  w' = w - rate · g / (√s' + ε)
 */
import { type OptimizerContext, type OptimizerOf, square, type UpdateRule } from './optimizer.ts'

export function adagrad(
  { epsilon, initialAccumulator }: OptimizerOf<'Adagrad'>,
  { builder, learningRate, state }: OptimizerContext,
): UpdateRule {
  return (parameter) => {
    const { name, gradient } = parameter
    const sum = state(parameter, {
      kind: 'accumulator',
      initial: initialAccumulator,
      next: (previous) => builder.add('Add', [previous, square(builder, gradient)], {}, `${previous}.next`),
    })
    const divisor = builder.add('Add', [builder.add('Sqrt', [sum]), builder.scalar(epsilon)])
    const step = builder.add('Div', [builder.add('Mul', [gradient, learningRate]), divisor])
    return builder.add('Sub', [name, step], {}, `${name}.next`)
  }
}
