/*
 * The gradient of one parameter on its way from the backward pass to the optimiser, and the sum that most rules
 * are made of.
 */
import type { GraphBuilder, Shape } from './builder.ts'
import { ModelError } from './errors.ts'
import { float, type Node, quoted } from './graph.ts'

/** A parameter that learns, with the value in the graph that is its gradient. */
export interface Trainable {
  name: string
  shape: Shape
  gradient: string
}

export function gradientOf(gradients: ReadonlyMap<string, string>, name: string): string {
  const gradient = gradients.get(name)
  if (gradient !== undefined) return gradient
  throw new ModelError(
    `no gradient reaches ${quoted(name)}: what it is used for is not differentiable; freeze it, or leave it out`,
  )
}

export interface Scaled {
  value: string
  factor: number
  /** What to name the result after. */
  base?: string
}

/** gradient + factor · value. A matrix product takes the sum along, which saves two passes over the parameter. */
export function plusScaled(builder: GraphBuilder, gradient: string, { value, factor, base }: Scaled): string {
  const product = plainProduct(builder, gradient)
  if (product) {
    const attributes = { ...product.attributes, beta: float(factor) }
    return builder.add('Gemm', [...product.inputs, value], attributes, base)
  }
  const scaled = factor === 1 ? value : builder.add('Mul', [value, builder.scalar(factor)])
  return builder.add('Add', [scaled, gradient], {}, base)
}

/** The matrix product without a summand that makes this value, where one does. */
export function plainProduct(builder: GraphBuilder, gradient: string): Node | undefined {
  const node = builder.producer(gradient)
  return node?.op === 'Gemm' && node.inputs.length === 2 ? node : undefined
}
