/*
 * Gradients of a batch in parts: a Loop goes through the batch some rows at a time and adds up what each part
 * contributes. The loss is a mean over the rows, weighted by what each has of all weights, so that the sums are the
 * gradients of the whole batch, to the accuracy of float32. Only the values of one part are in memory at a time.
 */
import { addToSums, type Accumulated, type Named } from './accumulation.ts'
import { GraphBuilder } from './builder.ts'
import type { Forward } from './emit.ts'
import { emitBackward } from './backward.ts'
import { gradientOf } from './gradient.ts'
import { type Graph, int, type Node, renamed, valuesOf } from './graph.ts'
import type { LossGraph } from './losses.ts'
import { optimized } from './passes/index.ts'
import { prune } from './prune.ts'

/** The forward pass and the loss of a part of the batch. */
export interface Part {
  forward: Forward
  loss: LossGraph
  output: string
  trainable: readonly Named[]
}

interface PartGradients {
  builder: GraphBuilder
  /** Mean loss of the batch. */
  loss: string
  /** Parameter → its gradient. */
  gradients: Map<string, string>
  /** Graph inputs to fill with numbers uniform over [0, 1): the parts' one after another. */
  uniforms: Named[]
}

/** What has been done to the graph of a part: it is given with the names of its batch inputs and of its loss. */
export type Refine = (graph: Graph, batch: readonly string[], loss: string) => Promise<Graph>

export async function emitMicroBatches(part: Part, count: number, refine: Refine): Promise<PartGradients> {
  const { trainable, forward } = part
  const { builder: inner } = forward
  const parameters = new Set(inner.inputs.map(({ name }) => name))
  const batch = batchInputs(part)
  for (const name of batch) parameters.delete(name)
  const scale = inner.input('weights_reciprocal', [])
  const { sums, outputs, loss } = addSums(part, scale)
  const graph = await refine(optimized(prune(inner, outputs)), batch, loss)

  const builder = new GraphBuilder(valuesOf(graph))
  const names = new Map(batch.map((name) => [name, builder.fresh(`${name}.part`)]))
  for (const { name, type, shape } of graph.inputs) {
    const sizes = shape.map(Number)
    if (parameters.has(name)) builder.declareInput({ name, type, shape: sizes })
    if (batch.includes(name))
      builder.declareInput({ name, type, shape: wholeShape(part, name, { sizes, count }) })
  }
  const weights = builder.sumAll(forward.sampleWeight)
  builder.append(node('Reciprocal', [weights], scale))
  const parts = batch.map((name) => {
    const sizes = inner.shape(name)
    return [names.get(name) ?? '', builder.reshape(name, [count, ...sizes])] as const
  })
  const totals = addLoop(builder, { graph: renamed(graph, names), sums, parts }, count)
  return {
    builder,
    loss: builder.add('Identity', [totals.at(-1) ?? ''], {}, 'loss'),
    gradients: new Map(trainable.map(({ name }, index) => [name, totals[index] ?? ''])),
    uniforms: forward.uniforms.map(({ name, shape }) => ({ name, shape: [count, ...shape] })),
  }
}

/** Random numbers come part after part; everything else is rows. */
function wholeShape(
  { forward }: Part,
  name: string,
  { sizes, count }: { sizes: readonly number[]; count: number },
): number[] {
  const isRandom = forward.uniforms.some((uniform) => uniform.name === name)
  return isRandom ? [count, ...sizes] : [(sizes[0] ?? 1) * count, ...sizes.slice(1)]
}

function batchInputs({ forward, trainable }: Part): string[] {
  const kept = new Set(trainable.map(({ name }) => name))
  return forward.builder.inputs.map(({ name }) => name).filter((name) => !kept.has(name))
}

/** Adds to each sum what this part contributes: of each parameter's gradient, and at the end of the loss. */
function addSums({ forward, loss, output, trainable }: Part, scale: string): Accumulated & { loss: string } {
  const { builder, sampleWeight } = forward
  const coefficient = builder.add('Mul', [sampleWeight, scale])
  const total = builder.add('ReduceSum', [builder.add('Mul', [loss.perSample, coefficient])], {
    keepdims: int(0),
  })
  const names = trainable.map(({ name }) => name)
  const found = emitBackward(forward, new Map([[output, loss.gradient(coefficient)]]), names)
  const summands = [...names.map((name) => gradientOf(found, name)), total]
  const { sums, outputs } = addToSums(builder, trainable, summands)
  return { sums, outputs, loss: total }
}

interface Body {
  graph: Graph
  sums: readonly Named[]
  /** Value of a part, and what has those of all parts. */
  parts: readonly (readonly [string, string])[]
}

/** Returns the sums over all parts. */
function addLoop(builder: GraphBuilder, { graph, sums, parts }: Body, count: number): string[] {
  const zeros = sums.map(({ shape }) => builder.add('ConstantOfShape', [builder.int64(shape)]))
  const times = builder.constant({ type: 'int64', shape: [], data: BigInt64Array.of(BigInt(count)) })
  const outputs = sums.map(({ name }) => builder.fresh(`${name}.total`))
  const [iteration, goesOn, goesOnStill] = ['part', 'part_goes_on', 'part_goes_on.next'].map((base) =>
    builder.fresh(base),
  ) as [string, string, string]
  const body: Graph = {
    inputs: [
      { name: iteration, type: 'int64', shape: [] },
      { name: goesOn, type: 'bool', shape: [] },
      ...sums.map(({ name, shape }) => ({ name, type: 'float32' as const, shape })),
    ],
    outputs: [{ name: goesOnStill, type: 'bool', shape: [] }, ...graph.outputs],
    initializers: graph.initializers,
    nodes: [
      node('Identity', [goesOn], goesOnStill),
      ...parts.map(([part, whole]) => node('Gather', [whole, iteration], part)),
      ...graph.nodes,
    ],
    ...(graph.values && { values: graph.values }),
  }
  builder.append({
    op: 'Loop',
    name: 'parts',
    inputs: [times, '', ...zeros],
    outputs,
    attributes: { body: { kind: 'graph', value: body } },
  })
  return outputs
}

function node(op: string, inputs: readonly string[], output: string): Node {
  return { op, name: output, inputs, outputs: [output], attributes: {} }
}
