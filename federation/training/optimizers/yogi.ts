/*
 * Yogi, algorithm 2 of Zaheer, Reddi, Sachan, Kale and Kumar, "Adaptive Methods for Nonconvex Optimization" (2018):
 *   m' = β₁m + (1 - β₁)g;  v' = v - (1 - β₂) · sign(v - g²) · g²;  w' = w - rate · m' / (√v' + ε)
 * There is no correction of the first steps in it. The state holds m/(1 - β₁) and v, which starts at
 * `initialAccumulator`.
 */
import { decayingSum, type OptimizerContext, type OptimizerOf, square, type UpdateRule } from './optimizer.ts'

export function yogi(
  { beta1, beta2, epsilon, initialAccumulator }: OptimizerOf<'Yogi'>,
  { builder, learningRate, state }: OptimizerContext,
): UpdateRule {
  const rate = builder.add('Mul', [learningRate, builder.scalar(1 - beta1)])
  const nextVariance = (previous: string, gradient: string): string => {
    const squared = square(builder, gradient)
    const side = builder.add('Sign', [builder.add('Sub', [previous, squared])])
    const towards = builder.add('Mul', [builder.add('Mul', [squared, builder.scalar(1 - beta2)]), side])
    return builder.add('Sub', [previous, towards], {}, `${previous}.next`)
  }
  return (parameter) => {
    const { name, gradient } = parameter
    const mean = state(parameter, {
      kind: 'moment_1',
      next: (previous) => decayingSum(builder, { previous, factor: beta1, summand: gradient }),
    })
    const variance = state(parameter, {
      kind: 'moment_2',
      initial: initialAccumulator,
      next: (previous) => nextVariance(previous, gradient),
    })
    const divisor = builder.add('Add', [builder.add('Sqrt', [variance]), builder.scalar(epsilon)])
    const step = builder.add('Div', [builder.add('Mul', [mean, rate]), divisor])
    return builder.add('Sub', [name, step], {}, `${name}.next`)
  }
}
