/*
 * The gradients of DP-SGD (Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1): the gradient
 * of each example on its own, scaled down to a norm of `clippingNorm` at most; their sum, with Gaussian noise of
 * standard deviation noiseMultiplier · clippingNorm on every element; over the batch size. A Loop goes through the
 * batch one example at a time, so norms are exact for every operator. How much privacy many steps cost together is
 * not worked out here.
 */
import { addToSums, type Named } from './accumulation.ts'
import { emitBackward } from './backward.ts'
import { GraphBuilder } from './builder.ts'
import type { Privacy } from './configuration.ts'
import type { Forward } from './emit.ts'
import { gradientOf } from './gradient.ts'
import { floatTensor, type Graph, int, int64Tensor, type Node, renamed, valuesOf } from './graph.ts'
import type { LossGraph } from './losses.ts'
import { prune } from './prune.ts'

/** The forward pass and the loss of a batch of one. */
export interface Example {
  forward: Forward
  loss: LossGraph
  output: string
  trainable: readonly Named[]
}

export interface PrivateGradients {
  builder: GraphBuilder
  /** Mean loss of the batch. */
  loss: string
  /** Parameter → its gradient. */
  gradients: Map<string, string>
  /** Graph inputs to fill with numbers uniform over [0, 1). */
  uniforms: Named[]
  /** Graph inputs to fill with standard normal numbers. */
  normals: Named[]
}

export function emitPrivateGradients(
  example: Example,
  { clippingNorm, noiseMultiplier }: Privacy,
  batchSize: number,
): PrivateGradients {
  const { trainable, forward } = example
  const body = exampleBody(example, clippingNorm)
  const builder = batchBuilder(body, batchSize)
  const totals = emitLoop(builder, body, batchSize)
  const normals: Named[] = []
  const gradients = trainable.map(({ name, shape }, index) => {
    let sum = totals[index] ?? ''
    if (noiseMultiplier > 0) {
      const normal = builder.input(`${name}.normal`, shape)
      normals.push({ name: normal, shape })
      const noise = builder.add('Mul', [normal, builder.scalar(noiseMultiplier * clippingNorm)])
      sum = builder.add('Add', [sum, noise])
    }
    return [name, builder.add('Mul', [sum, builder.scalar(1 / batchSize)])] as const
  })
  const weights = builder.sumAll(forward.sampleWeight)
  return {
    builder,
    loss: builder.add('Div', [totals.at(-1) ?? '', weights], {}, 'loss'),
    gradients: new Map(gradients),
    uniforms: forward.uniforms.map(({ name, shape }) => ({ name, shape: [batchSize, ...shape.slice(1)] })),
    normals,
  }
}

interface Body {
  graph: Graph
  /** Sums over the examples so far: of each parameter's gradients, and at the end of the losses. */
  sums: Named[]
  /** What differs from example to example. */
  perExample: string[]
}

/** A pass over one example that adds its clipped gradients and its loss to the sums; with weight 0, nothing. */
function exampleBody({ forward, loss, output, trainable }: Example, clippingNorm: number): Body {
  const { builder, sampleWeight } = forward
  const parameters = new Set(trainable.map(({ name }) => name))
  const perExample = builder.inputs.map(({ name }) => name).filter((name) => !parameters.has(name))
  const weight = builder.reshape(sampleWeight, [])
  const dy = loss.gradient(builder.constant(floatTensor([1], [1])))
  const names = trainable.map(({ name }) => name)
  const found = emitBackward(forward, new Map([[output, dy]]), names)
  const gradients = names.map((name) => gradientOf(found, name))
  const squares = gradients.map((gradient) =>
    builder.add('ReduceSumSquare', [gradient], { keepdims: int(0) }),
  )
  const norm = builder.add('Sqrt', [builder.sum(squares)])
  const share = builder.add('Div', [builder.scalar(clippingNorm), norm])
  const factor = builder.add('Mul', [builder.add('Min', [share, builder.scalar(1)]), weight])
  const summands = [
    ...gradients.map((gradient) => builder.add('Mul', [gradient, factor])),
    builder.add('Mul', [builder.reshape(loss.perSample, []), weight]),
  ]
  const { sums, outputs } = addToSums(builder, trainable, summands)
  return { graph: prune(builder, outputs), sums, perExample }
}

/** A builder with the inputs of the example's graph, but for a whole batch. */
function batchBuilder({ graph, sums, perExample }: Body, batchSize: number): GraphBuilder {
  const builder = new GraphBuilder(valuesOf(graph))
  const ofBody = new Set(sums.map(({ name }) => name))
  for (const { name, type, shape } of graph.inputs) {
    if (ofBody.has(name)) continue
    const sizes = perExample.includes(name) ? [batchSize, ...shape.slice(1)] : shape
    builder.declareInput({ name, type, shape: sizes.map(Number) })
  }
  return builder
}

/** Returns the sums over all examples. */
function emitLoop(builder: GraphBuilder, body: Body, batchSize: number): string[] {
  const zeros = body.sums.map(({ shape }) => builder.add('ConstantOfShape', [builder.int64(shape)]))
  const count = builder.constant({ type: 'int64', shape: [], data: BigInt64Array.of(BigInt(batchSize)) })
  const outputs = body.sums.map(({ name }) => builder.fresh(`${name}.total`))
  builder.append({
    op: 'Loop',
    name: 'examples',
    inputs: [count, '', ...zeros],
    outputs,
    attributes: { body: { kind: 'graph', value: loopBody(builder, body) } },
  })
  return outputs
}

function loopBody(builder: GraphBuilder, { graph, sums, perExample }: Body): Graph {
  const [iteration, goesOn, goesOnStill, one, index] = [
    ...['example', 'example_goes_on', 'example_goes_on.next', 'one', 'example.index'],
  ].map((base) => builder.fresh(base)) as [string, string, string, string, string]
  const names = new Map(perExample.map((name) => [name, builder.fresh(`${name}.example`)]))
  const inner = renamed(graph, names)
  return {
    inputs: [
      { name: iteration, type: 'int64', shape: [] },
      { name: goesOn, type: 'bool', shape: [] },
      ...sums.map(({ name, shape }) => ({ name, type: 'float32' as const, shape })),
    ],
    outputs: [{ name: goesOnStill, type: 'bool', shape: [] }, ...inner.outputs],
    initializers: new Map([...inner.initializers, [one, int64Tensor([1])]]),
    nodes: [
      node('Identity', [goesOn], goesOnStill),
      node('Reshape', [iteration, one], index),
      ...[...names].map(([name, example]) => node('Gather', [name, index], example)),
      ...inner.nodes,
    ],
  }
}

function node(op: string, inputs: readonly string[], output: string): Node {
  return { op, name: output, inputs, outputs: [output], attributes: {} }
}
