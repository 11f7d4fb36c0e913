/*
 * What an operator's implementation is: a function that adds the operator to a graph being built, and returns
 * how gradients flow back through it. The backward part runs only for training, after the whole forward part.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import type { Node, TensorValue } from '../graph.ts'

/**
 * Gradients of the inputs, in the order of the node's inputs, given the gradient of its first output. Each is
 * a function so that only those that are wanted are added to the graph; undefined: no gradient flows there.
 */
export type Backward = (dy: string) => readonly ((() => string) | undefined)[]

export interface Emitter {
  builder: GraphBuilder
  mode: 'training' | 'evaluation'
  /** Rows of the batch. */
  batchSize: number
  /** [batch]: 1 for a sample, 0 for padding. */
  rowMask: () => string
  /** Shape of a value of the user's graph. */
  shape: (name: string) => Shape
  /** The value of an input that does not vary, for parameters that are attributes in all but form. */
  constant: (name: string) => TensorValue | undefined
  /** Whether the value is running state, such as BatchNormalization's mean. */
  isState: (name: string) => boolean
  updateState: (name: string, value: string) => void
  /** A graph input of this shape that the host fills with uniform random numbers. */
  uniform: (shape: Shape) => string
}

export interface Operator {
  /** Why this node, seen alone, cannot be trained: what it has and what would be right. */
  refuse?: (node: Node) => string | undefined
  /** Adds the node, whose first output keeps its name, for the emitter's mode. */
  emit: (node: Node, emitter: Emitter) => Backward
}

/** Adds the node unchanged. */
export function emitAsIs(node: Node, { builder }: Emitter): string {
  builder.append(node)
  return output(node)
}

/** Adds an operator that makes the node's first output. */
export function emitInstead(
  node: Node,
  { builder }: Emitter,
  other: Pick<Node, 'op' | 'inputs' | 'attributes'>,
): void {
  builder.append({ ...other, name: node.name, outputs: [output(node)] })
}

export function input(node: Node, index: number): string {
  return node.inputs[index] ?? ''
}

export function output(node: Node): string {
  return node.outputs[0] ?? ''
}

/** An axis from 0, given one that may count from the end. */
export function positiveAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}
