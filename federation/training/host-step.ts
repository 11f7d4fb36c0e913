/*
 * The optimiser's step outside the graph: one pass over parameters, gradients and state, in place. It is the rule that
 * optimizers/ adds to a graph, for a single parameter, turned into an elementwise program: each rule has one home, and both
 * ways calculate in the same order, to the same bits. Only what a rule folds into a matrix product (momentum, weight decay)
 * may differ in the last bit.
 */
import type { ElementwiseProgram } from '../aggregation/elementwise.ts'

import { assemble } from './assemble.ts'
import { GraphBuilder } from './builder.ts'
import type { Optimizer } from './configuration.ts'
import type { Node } from './graph.ts'
import { emitOptimizer, type Update } from './optimizers/index.ts'

export interface HostStep {
  /** Its vectors: parameters, the gradients of each shard, and one for each entry of `state`. */
  program: ElementwiseProgram
  /** What each vector of the optimiser's state holds before the first step. */
  state: readonly number[]
  /**
   * The program's scalars in step t = 1, 2, …
   * @param shares of several shards: what each counts, in all 1
   */
  scalars: (learningRate: number, step: number, shares?: readonly number[]) => Float32Array
}

/** Adam's 1/(1 - beta1^t) and 1/(1 - beta2^t); 1 for optimisers that know no such thing. */
export function correctionsAt(optimizer: Optimizer, step: number): { first: number; second: number } {
  if (!('beta1' in optimizer)) return { first: 1, second: 1 }
  return { first: 1 / (1 - optimizer.beta1 ** step), second: 1 / (1 - optimizer.beta2 ** step) }
}

export function hostStep(optimizer: Optimizer, shards = 1): HostStep {
  const builder = new GraphBuilder([])
  const name = builder.input('parameter', [])
  const gradients = Array.from({ length: shards }, () => builder.input('gradient', []))
  const shareNames = shards === 1 ? [] : gradients.map(() => builder.input('share', []))
  const gradient = weightedSum(builder, gradients, shareNames)
  const update = emitOptimizer(builder, optimizer, [{ name, gradient, shape: [] }])
  const vectors = [name, ...gradients, ...update.state.map((entry) => entry.name)]
  const { ofVectors, ofScalars } = divided(builder.nodes, vectors)
  const targets = new Map([
    [update.parameters.get(name) ?? '', name],
    ...update.state.map((entry) => [entry.output, entry.name] as const),
  ])
  const { program, scalars } = assemble(ofVectors, vectors, targets)
  return {
    program,
    state: update.state.map(({ initial }) => initial),
    scalars: (learningRate, step, shares = []) => {
      const values = givenScalars(builder, update, { learningRate, ...correctionsAt(optimizer, step) })
      for (const [index, each] of shareNames.entries()) values.set(each, Math.fround(shares[index] ?? NaN))
      for (const node of ofScalars) values.set(node.outputs[0] ?? '', scalarResult(node, values))
      return Float32Array.from(scalars, (each) => values.get(each) ?? NaN)
    },
  }
}

/** In the order of the shards; where there is one, itself. */
function weightedSum(builder: GraphBuilder, gradients: readonly string[], shares: readonly string[]): string {
  const [first = '', ...others] = gradients.map((each, index) => {
    const share = shares[index]
    return share === undefined ? each : builder.add('Mul', [each, share])
  })
  return others.reduce((sum, each) => builder.add('Add', [sum, each]), first)
}

/** The nodes that work on vectors, and those that work on scalars only. */
function divided(
  nodes: readonly Node[],
  vectors: readonly string[],
): { ofVectors: Node[]; ofScalars: Node[] } {
  const known = new Set(vectors)
  const ofVectors: Node[] = []
  const ofScalars: Node[] = []
  for (const node of nodes) {
    const isVector = node.inputs.some((name) => known.has(name))
    ;(isVector ? ofVectors : ofScalars).push(node)
    if (isVector) known.add(node.outputs[0] ?? '')
  }
  return { ofVectors, ofScalars }
}

/** Constants and the host's scalars, in float32 as a graph gets them. */
function givenScalars(
  { initializers }: GraphBuilder,
  { learningRate, corrections }: Update,
  given: { learningRate: number; first: number; second: number },
): Map<string, number> {
  const values = new Map([...initializers].map(([name, { data }]) => [name, Number(data[0])]))
  values.set(learningRate, Math.fround(given.learningRate))
  if (corrections) {
    values.set(corrections.first, Math.fround(given.first))
    values.set(corrections.second, Math.fround(given.second))
  }
  return values
}

/** In float32: an operation in float64 on float32 numbers, rounded, is the operation in float32. */
function scalarResult({ op, inputs }: Node, values: ReadonlyMap<string, number>): number {
  const [a = NaN, b = NaN] = inputs.map((name) => values.get(name))
  switch (op) {
    case 'Add':
      return Math.fround(a + b)
    case 'Sub':
      return Math.fround(a - b)
    case 'Mul':
      return Math.fround(a * b)
    case 'Div':
      return Math.fround(a / b)
    case 'Sqrt':
      return Math.fround(Math.sqrt(a))
    case 'Neg':
      return -a
    default:
      throw new Error(`unreachable: ${op} of scalars`)
  }
}
