/*
 * What an operator's implementation is: a function that adds the operator to a graph being built, and returns
 * how gradients flow back through it. The backward part runs only for training, after the whole forward part.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import type { ElementType, Node, TensorValue } from '../graph.ts'

/**
 * Gradients of the inputs, in the order of the node's inputs. Each is a function so that only those that are
 * wanted are added to the graph; undefined: no gradient flows there. Inputs that are not float32 are never asked.
 */
export type InputGradients = readonly ((() => string) | undefined)[]

/**
 * How gradients flow back through a node. The function takes the gradient of the first output, and is for
 * operators of which no other output carries a gradient; `ofOutputs` takes those of all the node's outputs, in
 * order: at least one is defined, undefined stands for one that nothing flows back to.
 */
export type Backward =
  ((dy: string) => InputGradients) | { ofOutputs: (dys: readonly (string | undefined)[]) => InputGradients }

export interface Emitter {
  builder: GraphBuilder
  mode: 'training' | 'evaluation'
  /** Rows of the batch. */
  batchSize: number
  /** [batch]: 1 for a sample, 0 for padding. */
  rowMask: () => string
  /** Shape of a value of the user's graph. */
  shape: (name: string) => Shape
  /** Element type of a value of the user's graph. */
  type: (name: string) => ElementType
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
  /** How many of its outputs the graph may use, from the first; 1 if absent. */
  outputs?: number
  /** Adds the node, whose used outputs keep their names, for the emitter's mode. */
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
