/*
 * Graphs fitted to this machine against the same graphs as they travel.
 */
import { fromBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema } from 'onnx-buf'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'

import { GraphBuilder, type Shape } from '../builder.ts'
import { type Attributes, type Graph, int, ints, type Node, type ValueInfo } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { Random } from '../random.ts'
import { COMPILED_OPSET, writeModel } from '../write.ts'
import { channelBlock } from './block-size.ts'
import { fittedToMachine } from './index.ts'

interface Case {
  name: string
  x: Shape
  w: Shape
  bias?: boolean
  attributes?: Attributes
}

const pads = ints([1, 1, 1, 1])
const CASES: Case[] = [
  { name: 'blocks of channels', x: [2, 16, 7, 5], w: [32, 16, 3, 3], attributes: { pads } },
  { name: 'a bias', x: [3, 32, 6, 6], w: [16, 32, 3, 3], bias: true },
  {
    name: 'stride and dilation',
    x: [2, 16, 9, 9],
    w: [16, 16, 3, 3],
    attributes: { strides: ints([2, 1]), dilations: ints([1, 2]) },
  },
  {
    name: 'padding on one side',
    x: [2, 16, 6, 6],
    w: [16, 16, 2, 3],
    attributes: { pads: ints([0, 2, 1, 0]) },
  },
  {
    name: 'automatic padding',
    x: [2, 16, 7, 7],
    w: [16, 16, 3, 3],
    attributes: { auto_pad: { kind: 'string', value: 'SAME_UPPER' } },
  },
  { name: 'three channels', x: [2, 3, 8, 8], w: [16, 3, 3, 3], attributes: { pads } },
  {
    name: 'a kernel for each channel',
    x: [2, 32, 6, 6],
    w: [32, 1, 3, 3],
    bias: true,
    attributes: { group: int(32), pads },
  },
]
const LEFT: Case[] = [
  { name: 'one element', x: [2, 16, 4, 4], w: [16, 16, 1, 1] },
  { name: 'channels that fill no block', x: [2, 16, 4, 4], w: [20, 16, 3, 3] },
  { name: 'more inputs than a block, but no whole ones', x: [2, 20, 4, 4], w: [16, 20, 3, 3] },
  { name: 'groups of several channels', x: [2, 32, 4, 4], w: [32, 16, 3, 3], attributes: { group: int(2) } },
  { name: 'one dimension', x: [2, 16, 9], w: [16, 16, 3] },
]

describe('a graph fitted to the machine', () => {
  it.each(CASES)('computes the same convolution with $name', async (given) => {
    const graph = convolutionOf(given)
    expect(await operatorsOf(graph)).toContain((await hasBlocks()) ? 'com.microsoft.nchwc Conv' : ' Conv')
    expect(await difference(graph)).toBeLessThan(2e-6)
  })

  it.each(LEFT)('leaves a convolution with $name as it is', async (given) => {
    const file = write(convolutionOf(given))
    expect(await fittedToMachine(file)).toBe(file)
  })

  it('leaves weights of unknown shape as they are, and takes those that the file describes', async () => {
    const described = doubledWeight()
    const { values: _, ...silent } = described
    expect(await operatorsOf(silent)).toContain(' Conv')
    expect(await operatorsOf(described)).not.toContain((await hasBlocks()) ? ' Conv' : 'none')
    expect(await difference(described)).toBeLessThan(2e-6)
  })

  it('reorders a value once for all that read it', async () => {
    const first = convolutionOf({ name: '', x: [2, 16, 5, 5], w: [16, 16, 3, 3] })
    const again = first.nodes.map((node) => ({ ...node, outputs: ['again'] }))
    const graph = { ...first, nodes: [...first.nodes, ...again], outputs: [{ name: 'y' }, { name: 'again' }] }
    const operators = await operatorsOf(graph)
    expect(operators.filter((name) => name.endsWith('ReorderInput'))).toHaveLength(
      (await hasBlocks()) ? 1 : 0,
    )
    expect(await difference(graph)).toBeLessThan(2e-6)
  })

  it('works inside a loop', async () => {
    const graph = looped(
      convolutionOf({ name: '', x: [2, 16, 5, 5], w: [16, 16, 3, 3], attributes: { pads } }),
    )
    expect(await fittedToMachine(write(graph))).not.toEqual((await hasBlocks()) ? write(graph) : undefined)
    expect(await difference(graph)).toBeLessThan(1e-5)
  })
})

async function hasBlocks(): Promise<boolean> {
  return (await channelBlock()) !== undefined
}

function convolutionOf({ x, w, bias = false, attributes = {} }: Case): Graph {
  const inputs = [info('x', x), info('w', w), ...(bias ? [info('b', [w[0] ?? 1])] : [])]
  const names = inputs.map(({ name }) => name)
  const node: Node = { op: 'Conv', name: 'convolution', inputs: names, outputs: ['y'], attributes }
  return { inputs, outputs: [{ name: 'y' }], initializers: new Map(), nodes: [node] }
}

function doubledWeight(): Graph {
  const graph = convolutionOf({ name: '', x: [2, 16, 5, 5], w: [16, 16, 3, 3] })
  const double: Node = { op: 'Add', name: '', inputs: ['w', 'w'], outputs: ['w2'], attributes: {} }
  const nodes = graph.nodes.map((node) => ({ ...node, inputs: ['x', 'w2'] }))
  return { ...graph, nodes: [double, ...nodes], values: [info('w2', [16, 16, 3, 3])] }
}

/** The convolution of its own result, three times. */
function looped(graph: Graph): Graph {
  const builder = new GraphBuilder(['x', 'w', 'y'])
  const count = builder.constant({ type: 'int64', shape: [], data: BigInt64Array.of(3n) })
  const body: Graph = {
    inputs: [
      { name: 'i', type: 'int64', shape: [] },
      { name: 'on', type: 'bool', shape: [] },
      info('x1', [2, 16, 5, 5]),
      info('w1', [16, 16, 3, 3]),
    ],
    outputs: [{ name: 'on1' }, { name: 'y1' }, { name: 'w2' }],
    initializers: new Map(),
    nodes: [
      ...graph.nodes.map((node) => ({ ...node, inputs: ['x1', 'w1'], outputs: ['y1'] })),
      { op: 'Identity', name: '', inputs: ['on'], outputs: ['on1'], attributes: {} },
      { op: 'Identity', name: '', inputs: ['w1'], outputs: ['w2'], attributes: {} },
    ],
  }
  const loop: Node = {
    op: 'Loop',
    name: '',
    inputs: [count, '', 'x', 'w'],
    outputs: ['y', 'w3'],
    attributes: { body: { kind: 'graph', value: body } },
  }
  return { ...graph, initializers: builder.initializers, nodes: [loop] }
}

function info(name: string, shape: Shape): ValueInfo {
  return { name, type: 'float32', shape }
}

function write(graph: Graph): Uint8Array {
  return writeModel(graph, 'test', COMPILED_OPSET)
}

/** Domain and operator of the fitted graph's nodes. */
async function operatorsOf(graph: Graph): Promise<string[]> {
  const model = fromBinary(ModelProtoSchema, await fittedToMachine(write(graph)))
  return (model.graph?.node ?? []).map(({ domain, opType }) => `${domain} ${opType}`)
}

/** The largest difference of a result, by the largest result. */
async function difference(graph: Graph): Promise<number> {
  const random = new Random(1, 0)
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, shape }) => {
      const sizes = shape.map(Number)
      const data = Float32Array.from({ length: elementCount(sizes) }, () => random.below(2001) / 1000 - 1)
      return [name, new Tensor('float32', data, sizes)]
    }),
  )
  const file = write(graph)
  const [plain, fitted] = [await run(file, feeds), await run(await fittedToMachine(file), feeds)]
  const differences = plain.map((value, index) => Math.abs(value - (fitted[index] ?? NaN)))
  return Math.max(...differences) / Math.max(...plain.map(Math.abs))
}

async function run(file: Uint8Array, feeds: Record<string, Tensor>): Promise<number[]> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  const outputs = await session.run(feeds)
  await session.release()
  return Object.values(outputs).flatMap(({ data }) => Array.from(data, Number))
}
