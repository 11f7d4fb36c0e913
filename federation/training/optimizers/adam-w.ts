/*
 * torch.optim.AdamW (Loshchilov and Hutter, 2019): Adam whose weight decay shrinks the parameter itself,
 * w · (1 - rate · decay), and does not pass through the moments.
 */
import { adamStep } from './adam.ts'
import type { OptimizerContext, OptimizerOf, UpdateRule } from './optimizer.ts'

export function adamW(options: OptimizerOf<'AdamW'>, context: OptimizerContext): UpdateRule {
  const { builder, learningRate } = context
  const stepOf = adamStep(options, context)
  const decay = builder.add('Mul', [learningRate, builder.scalar(options.weightDecay)])
  const kept = builder.add('Sub', [builder.scalar(1), decay])
  return (parameter) => {
    const shrunk = options.weightDecay === 0 ? parameter.name : builder.add('Mul', [parameter.name, kept])
    return builder.add('Sub', [shrunk, stepOf(parameter)], {}, `${parameter.name}.next`)
  }
}
