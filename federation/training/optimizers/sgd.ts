/*
 * torch.optim.SGD without dampening: m' = momentum · m + g;  w' = w - rate · m', or with Nesterov's look-ahead
 * w' = w - rate · (g + momentum · m'). The new moment, or the new parameter where there is no momentum, is made
 * within the matrix product that makes the gradient, where there is one.
 */
import type { GraphBuilder } from '../builder.ts'
import { plainProduct, plusScaled, type Trainable } from '../gradient.ts'
import { descend, type OptimizerContext, type OptimizerOf, type UpdateRule } from './optimizer.ts'

export function sgd({ momentum, nesterov }: OptimizerOf<'SGD'>, context: OptimizerContext): UpdateRule {
  const { builder, learningRate } = context
  if (momentum === 0) return (parameter) => descendAlong(builder, parameter, learningRate)
  const ahead = nesterov ? lookAhead(momentum, context) : undefined
  return (parameter) => {
    let previous = ''
    const moment = context.state(parameter, {
      kind: 'momentum',
      next: (state) => {
        previous = state
        const sum = { value: state, factor: momentum, base: `${state}.next` }
        return plusScaled(builder, parameter.gradient, sum)
      },
    })
    return ahead
      ? ahead(parameter, { previous, moment })
      : descend(builder, parameter.name, { direction: moment, rate: learningRate })
  }
}

/** w - rate · gradient. Where the gradient is a matrix product that is needed for nothing else, within it. */
function descendAlong(builder: GraphBuilder, { name, gradient }: Trainable, learningRate: string): string {
  const product = plainProduct(builder, gradient)
  if (!product) return descend(builder, name, { direction: gradient, rate: learningRate })
  const [left = '', right = ''] = product.inputs
  const step = builder.add('Mul', [left, builder.add('Neg', [learningRate])])
  return builder.add('Gemm', [step, right, name], product.attributes, `${name}.next`)
}

/**
 * g + momentum · m' = (1 + momentum) · m' - momentum · m, because g = m' - momentum · m. So the gradient itself is
 * not needed a second time.
 */
function lookAhead(
  momentum: number,
  { builder, learningRate }: OptimizerContext,
): (parameter: Trainable, moments: { previous: string; moment: string }) => string {
  const forth = builder.add('Mul', [learningRate, builder.scalar(1 + momentum)])
  const back = builder.add('Mul', [learningRate, builder.scalar(momentum)])
  return ({ name }, { previous, moment }) => {
    const raised = builder.add('Add', [name, builder.add('Mul', [previous, back])])
    return builder.add('Sub', [raised, builder.add('Mul', [moment, forth])], {}, `${name}.next`)
  }
}
