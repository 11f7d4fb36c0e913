/*
 * The optimisers, as torch.optim has them. State is zero before the first step. Weight decay is added to the
 * gradient (for Adam too: this is not AdamW).
 */
import type { GraphBuilder, Shape } from './builder.ts'
import type { Optimizer } from './configuration.ts'
import { float, type Node } from './graph.ts'
import type { StateTensor, TrainingManifest } from './manifest.ts'

export interface Update {
  /** Parameter name → its new value. */
  parameters: Map<string, string>
  /** Output is the value; the caller gives it an output's name. */
  state: StateTensor[]
  learningRate: string
  corrections?: TrainingManifest['corrections']
}

export interface Trainable {
  name: string
  shape: Shape
  gradient: string
}

export function emitOptimizer(
  builder: GraphBuilder,
  optimizer: Optimizer,
  trainable: readonly Trainable[],
): Update {
  const learningRate = builder.input('learning_rate', [])
  const decayed = trainable.map((entry) => ({ ...entry, gradient: withDecay(builder, optimizer, entry) }))
  if (optimizer.type === 'Adam') return adam(builder, optimizer, { trainable: decayed, learningRate })
  return sgd(builder, optimizer.momentum, { trainable: decayed, learningRate })
}

interface Step {
  trainable: readonly Trainable[]
  learningRate: string
}

function withDecay(builder: GraphBuilder, { weightDecay }: Optimizer, { name, gradient }: Trainable): string {
  return weightDecay === 0 ? gradient : plusScaled(builder, gradient, { value: name, factor: weightDecay })
}

interface Scaled {
  value: string
  factor: number
  /** What to name the result after. */
  base?: string
}

/** gradient + factor · value. A matrix product takes the sum along, which saves two passes over the parameter. */
function plusScaled(builder: GraphBuilder, gradient: string, { value, factor, base }: Scaled): string {
  const product = plainProduct(builder, gradient)
  if (product) {
    const attributes = { ...product.attributes, beta: float(factor) }
    return builder.add('Gemm', [...product.inputs, value], attributes, base)
  }
  return builder.add('Add', [builder.add('Mul', [value, builder.scalar(factor)]), gradient], {}, base)
}

function plainProduct(builder: GraphBuilder, gradient: string): Node | undefined {
  const node = builder.producer(gradient)
  return node?.op === 'Gemm' && node.inputs.length === 2 ? node : undefined
}

/** m' = momentum · m + g;  w' = w - rate · m' */
function sgd(builder: GraphBuilder, momentum: number, { trainable, learningRate }: Step): Update {
  const update: Update = { parameters: new Map(), state: [], learningRate }
  for (const { name, shape, gradient } of trainable) {
    let direction = gradient
    if (momentum > 0) {
      const state = builder.input(`${name}.momentum`, shape)
      direction = plusScaled(builder, gradient, { value: state, factor: momentum, base: `${state}.next` })
      update.state.push({ name: state, output: direction, shape: [...shape] })
    }
    update.parameters.set(name, descend(builder, name, { direction, learningRate, reused: momentum > 0 }))
  }
  return update
}

/** w - rate · direction. Where the direction is a matrix product that is needed for nothing else, within it. */
function descend(
  builder: GraphBuilder,
  name: string,
  { direction, learningRate, reused }: { direction: string; learningRate: string; reused: boolean },
): string {
  const product = reused ? undefined : plainProduct(builder, direction)
  const [left = '', right = ''] = product?.inputs ?? []
  if (product) {
    const step = builder.add('Mul', [left, builder.add('Neg', [learningRate])])
    return builder.add('Gemm', [step, right, name], product.attributes, `${name}.next`)
  }
  const step = builder.add('Mul', [direction, learningRate])
  return builder.add('Sub', [name, step], {}, `${name}.next`)
}

/** m' = β₁m + (1 - β₁)g;  v' = β₂v + (1 - β₂)g²;  w' = w - rate · c₁ · m' / (√(c₂ · v') + ε) */
function adam(
  builder: GraphBuilder,
  { beta1, beta2, epsilon }: Extract<Optimizer, { type: 'Adam' }>,
  { trainable, learningRate }: Step,
): Update {
  const corrections = { first: builder.input('correction_1', []), second: builder.input('correction_2', []) }
  const update: Update = { parameters: new Map(), state: [], learningRate, corrections }
  const rate = builder.add('Mul', [learningRate, corrections.first])
  const average = (old: string, beta: number, now: string): string =>
    builder.add(
      'Add',
      [builder.add('Mul', [old, builder.scalar(beta)]), builder.add('Mul', [now, builder.scalar(1 - beta)])],
      {},
      `${old}.next`,
    )
  for (const { name, shape, gradient } of trainable) {
    const first = builder.input(`${name}.moment_1`, shape)
    const second = builder.input(`${name}.moment_2`, shape)
    const mean = average(first, beta1, gradient)
    const square = average(second, beta2, builder.add('Mul', [gradient, gradient]))
    const root = builder.add('Sqrt', [builder.add('Mul', [square, corrections.second])])
    const divisor = builder.add('Add', [root, builder.scalar(epsilon)])
    const step = builder.add('Div', [builder.add('Mul', [mean, rate]), divisor])
    update.parameters.set(name, builder.add('Sub', [name, step], {}, `${name}.next`))
    update.state.push({ name: first, output: mean, shape: [...shape] })
    update.state.push({ name: second, output: square, shape: [...shape] })
  }
  return update
}
