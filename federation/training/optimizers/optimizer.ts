/*
 * What an optimiser is: a rule that adds, for one parameter, the nodes that make its new value. Its state is
 * tensors of the parameter's shape that the host keeps between steps; the host fills them before the first one.
 */
import type { GraphBuilder } from '../builder.ts'
import type { Optimizer } from '../configuration.ts'
import type { Trainable } from '../gradient.ts'

export type OptimizerOf<Type extends Optimizer['type']> = Extract<Optimizer, { type: Type }>

/** Scalar graph inputs 1/(1 - beta1^t) and 1/(1 - beta2^t) for step t = 1, 2, … */
export interface Corrections {
  first: string
  second: string
}

export interface StateRule {
  /** Names the tensor, after the parameter. */
  kind: string
  /** Every element before the first step; 0 when absent. */
  initial?: number
  /** Adds the nodes that make the new value from the previous one. */
  next: (previous: string) => string
}

export interface OptimizerContext {
  builder: GraphBuilder
  /** Scalar graph input. */
  learningRate: string
  /** Asking for them makes them graph inputs. */
  corrections: () => Corrections
  /** A state tensor of the parameter; returns its new value. */
  state: (parameter: Trainable, rule: StateRule) => string
}

/** Returns the parameter's new value. */
export type UpdateRule = (parameter: Trainable) => string

/** w - rate · direction, where rate is a scalar. */
export function descend(
  builder: GraphBuilder,
  name: string,
  { direction, rate }: { direction: string; rate: string },
): string {
  return builder.add('Sub', [name, builder.add('Mul', [direction, rate])], {}, `${name}.next`)
}

/** factor · previous + summand */
export function decayingSum(
  builder: GraphBuilder,
  { previous, factor, summand }: { previous: string; factor: number; summand: string },
): string {
  const kept = builder.add('Mul', [previous, builder.scalar(factor)])
  return builder.add('Add', [kept, summand], {}, `${previous}.next`)
}

export function square(builder: GraphBuilder, value: string): string {
  return builder.add('Mul', [value, value])
}
