/*
 * The optimisers, as torch.optim has them, one file each. Weight decay is added to the gradient, except in AdamW.
 */
import type { GraphBuilder } from '../builder.ts'
import type { Optimizer } from '../configuration.ts'
import { plusScaled, type Trainable } from '../gradient.ts'
import type { StateTensor } from '../manifest.ts'
import { adagrad } from './adagrad.ts'
import { adamW } from './adam-w.ts'
import { adam } from './adam.ts'
import type { Corrections, OptimizerContext, UpdateRule } from './optimizer.ts'
import { rmsProp } from './rms-prop.ts'
import { sgd } from './sgd.ts'
import { yogi } from './yogi.ts'

export interface Update {
  /** Parameter name → its new value. */
  parameters: Map<string, string>
  state: StateTensor[]
  learningRate: string
  corrections?: Corrections
}

/** The gradients as outputs of their own, for the host to take the step; nothing else is needed of the graph then. */
export function emitGradientOutputs(
  builder: GraphBuilder,
  trainable: readonly Trainable[],
): Map<string, string> {
  const given = new Set(builder.inputs.map(({ name }) => name))
  const outputs = new Map<string, string>()
  for (const { name, gradient } of trainable) {
    const isOwn = builder.producer(gradient) !== undefined && !given.has(gradient)
    const output = isOwn ? gradient : builder.add('Identity', [gradient], {}, `${name}.gradient`)
    given.add(output)
    outputs.set(name, output)
  }
  return outputs
}

export function emitOptimizer(
  builder: GraphBuilder,
  optimizer: Optimizer,
  trainable: readonly Trainable[],
): Update {
  const learningRate = builder.input('learning_rate', [])
  const update: Update = { parameters: new Map(), state: [], learningRate }
  const rule = ruleFor(optimizer, contextFor(builder, update))
  for (const parameter of trainable) {
    const gradient = withDecay(builder, optimizer, parameter)
    update.parameters.set(parameter.name, rule({ ...parameter, gradient }))
  }
  return update
}

function ruleFor(optimizer: Optimizer, context: OptimizerContext): UpdateRule {
  switch (optimizer.type) {
    case 'SGD':
      return sgd(optimizer, context)
    case 'Adam':
      return adam(optimizer, context)
    case 'AdamW':
      return adamW(optimizer, context)
    case 'Adagrad':
      return adagrad(optimizer, context)
    case 'RMSProp':
      return rmsProp(optimizer, context)
    case 'Yogi':
      return yogi(optimizer, context)
  }
}

function contextFor(builder: GraphBuilder, update: Update): OptimizerContext {
  return {
    builder,
    learningRate: update.learningRate,
    corrections: () => {
      update.corrections ??= {
        first: builder.input('correction_1', []),
        second: builder.input('correction_2', []),
      }
      return update.corrections
    },
    state: ({ name, shape }, { kind, initial = 0, next }) => {
      const input = builder.input(`${name}.${kind}`, shape)
      const output = next(input)
      update.state.push({ name: input, output, shape: [...shape], initial })
      return output
    },
  }
}

function withDecay(builder: GraphBuilder, optimizer: Optimizer, { name, gradient }: Trainable): string {
  if (optimizer.type === 'AdamW' || optimizer.weightDecay === 0) return gradient
  return plusScaled(builder, gradient, { value: name, factor: optimizer.weightDecay })
}
