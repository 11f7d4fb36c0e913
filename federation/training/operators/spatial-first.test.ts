/*
 * The operators that work with the spatial dimensions first against the plain ones, forward and backward, alone and
 * between one another.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'

import { GraphBuilder, type Shape } from '../builder.ts'
import { type Graph, ints, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { optimized, PASSES } from '../passes/index.ts'
import { Random } from '../random.ts'
import { COMPILED_OPSET, writeModel } from '../write.ts'
import { spatialFirst, batchFirst } from './spatial-first.ts'
import { Winograd, winogradPays } from './winograd.ts'

describe("Winograd's filtering", () => {
  const table = [
    {
      name: 'of a square image',
      batch: 3,
      inputs: [8, 8],
      before: [2, 2],
      outputs: [8, 8],
      channels: 32,
      made: 33,
    },
    {
      name: 'without padding',
      batch: 2,
      inputs: [12, 14],
      before: [0, 0],
      outputs: [8, 10],
      channels: 32,
      made: 32,
    },
    {
      name: 'in parts of the batch',
      batch: 23,
      inputs: [14, 14],
      before: [2, 2],
      outputs: [14, 14],
      channels: 32,
      made: 64,
    },
    {
      name: 'padded more on one side',
      batch: 2,
      inputs: [9, 8],
      before: [1, 3],
      outputs: [8, 10],
      channels: 40,
      made: 32,
    },
  ]
  it.each(table)('$name is the convolution, and so are its gradients', async (shapes) => {
    const { batch, inputs, before, outputs, channels, made } = shapes
    const kernel = [made, channels, 5, 5]
    expect(winogradPays({ outputs, kernel })).toBe(true)
    const [x, w, dy] = [[batch, channels, ...inputs], kernel, [batch, made, ...outputs]]
    const values = { x: numbers(x, 1), w: numbers(w, 2), dy: numbers(dy, 3) }
    const fast = await run({ x, w, dy }, values, (builder) => {
      const winograd = new Winograd({ builder, inputs, outputs, before, batch, kernel })
      const forward = winograd.forward(spatialFirst(builder, 'x'), 'w')
      const gradients = winograd.backward(spatialFirst(builder, 'dy'), forward)
      return [batchFirst(builder, forward.y), batchFirst(builder, gradients.x()), gradients.w()]
    })
    const plain = await run({ x, w, dy }, values, (builder) => plainConvolution(builder, shapes))
    for (const [index, want] of plain.entries()) expect(distance(fast[index] ?? [], want)).toBeLessThan(5e-6)
  })

  it('is left to kernels and images for which it pays', () => {
    expect(winogradPays({ outputs: [14, 14], kernel: [64, 32, 3, 3] })).toBe(false)
    expect(winogradPays({ outputs: [13, 14], kernel: [64, 32, 5, 5] })).toBe(false)
    expect(winogradPays({ outputs: [14, 14], kernel: [64, 8, 5, 5] })).toBe(false)
  })
})

describe('the passes', () => {
  it('leave no transposition between two elementwise operators, and change no bit', async () => {
    const builder = new GraphBuilder([])
    for (const name of ['a', 'b']) builder.input(name, [2, 3, 4, 5])
    const [a, b] = [spatialFirst(builder, 'a'), spatialFirst(builder, 'b')]
    const sum = builder.add('Relu', [builder.add('Add', [batchFirst(builder, a), batchFirst(builder, b)])])
    const twice = builder.add('Mul', [sum, builder.scalar(2)])
    const again = builder.add('Relu', [builder.add('Add', [batchFirst(builder, a), batchFirst(builder, b)])])
    const y = builder.add('Sub', [twice, again])
    const outputs = [{ name: y }]
    const graph: Graph = {
      inputs: builder.inputs,
      outputs,
      initializers: builder.initializers,
      nodes: builder.nodes,
    }
    const optimizedGraph = optimized(graph)
    expect(operators(optimizedGraph)).toEqual(['Add', 'Relu', 'Mul', 'Sub'])
    const values = { a: numbers([2, 3, 4, 5], 1), b: numbers([2, 3, 4, 5], 2) }
    const want = await runGraph(graph, values, { a: [2, 3, 4, 5], b: [2, 3, 4, 5] })
    for (const pass of [...Object.values(PASSES), optimized]) {
      expect(await runGraph(pass(graph), values, { a: [2, 3, 4, 5], b: [2, 3, 4, 5] })).toEqual(want)
    }
  })

  it('sink a transposition through an elementwise operator', () => {
    const builder = new GraphBuilder([])
    builder.input('a', [2, 3, 4, 5])
    const y = builder.add('MatMul', [builder.add('Exp', [spatialFirst(builder, 'a')]), builder.scalar(1)])
    const outputs = [{ name: y }]
    const graph = {
      inputs: builder.inputs,
      outputs,
      initializers: builder.initializers,
      nodes: builder.nodes,
    }
    expect(operators(optimized(graph))).toEqual(['Exp', 'Transpose', 'MatMul'])
  })

  const mixed = [
    { name: 'turn the other input where the output would be turned back', shape: [2, 3, 4, 5], turned: true },
    { name: 'leave an input of another rank alone', shape: [4, 5], turned: false },
  ]
  it.each(mixed)('$name', async ({ shape, turned }) => {
    const builder = new GraphBuilder([])
    builder.input('a', [4, 5, 2, 3])
    builder.input('b', [elementCount(shape)])
    const sum = builder.add('Add', [
      batchFirst(builder, builder.add('Exp', ['a'])),
      builder.reshape('b', shape),
    ])
    const y = builder.add('Exp', [spatialFirst(builder, sum)])
    const outputs = [{ name: y }]
    const graph = {
      inputs: builder.inputs,
      outputs,
      initializers: builder.initializers,
      nodes: builder.nodes,
    }
    const transpositions = operators(optimized(graph)).filter((op) => op === 'Transpose')
    expect(transpositions.length).toBe(turned ? 1 : 2)
    const shapes = { a: [4, 5, 2, 3], b: [elementCount(shape)] }
    const values = { a: numbers(shapes.a, 1), b: numbers(shapes.b, 2) }
    expect(await runGraph(optimized(graph), values, shapes)).toEqual(await runGraph(graph, values, shapes))
  })

  it('keep the names of outputs', () => {
    const builder = new GraphBuilder([])
    builder.input('a', [2, 3, 4, 5])
    const same = [builder.add('Exp', ['a']), builder.add('Exp', ['a'])]
    const back = batchFirst(builder, spatialFirst(builder, 'a'))
    const outputs = [...same, back].map((name) => ({ name }))
    const graph = {
      inputs: builder.inputs,
      outputs,
      initializers: builder.initializers,
      nodes: builder.nodes,
    }
    const made = optimized(graph).nodes.flatMap((node: Node) => node.outputs)
    for (const { name } of outputs) expect(made).toContain(name)
  })
})

const operators = (graph: Graph): string[] => graph.nodes.map(({ op }) => op)

interface Shapes {
  inputs: Shape
  outputs: Shape
  before: Shape
}

/** The convolution by the runtime's own operators; its weight's gradient by the convolution of x with dy. */
function plainConvolution(builder: GraphBuilder, { inputs, outputs, before }: Shapes): string[] {
  const after = inputs.map((size, axis) => (outputs[axis] ?? 0) + 4 - size - (before[axis] ?? 0))
  const pads = { pads: ints([...before, ...after]) }
  const swap = { perm: ints([1, 0, 2, 3]) }
  const data = builder.add('Transpose', ['x'], swap)
  const w = builder.add('Conv', [data, builder.add('Transpose', ['dy'], swap)], pads)
  return [
    builder.add('Conv', ['x', 'w'], pads),
    builder.add('ConvTranspose', ['dy', 'w'], pads),
    builder.add('Transpose', [w], swap),
  ]
}

async function run(
  shapes: Record<string, Shape>,
  values: Record<string, Float32Array>,
  build: (builder: GraphBuilder) => string[],
): Promise<number[][]> {
  const builder = new GraphBuilder([])
  for (const [name, shape] of Object.entries(shapes)) builder.input(name, shape)
  const outputs = build(builder).map((name) => ({ name }))
  const { inputs, initializers, nodes } = builder
  return runGraph({ inputs, outputs, initializers, nodes }, values, shapes)
}

async function runGraph(
  graph: Graph,
  values: Record<string, Float32Array>,
  shapes: Record<string, Shape>,
): Promise<number[][]> {
  const session = await InferenceSession.create(writeModel(graph, 'test', COMPILED_OPSET), {
    intraOpNumThreads: 1,
  })
  const feeds = Object.entries(values).map(
    ([name, data]) => [name, new Tensor(data, shapes[name] ?? [])] as const,
  )
  const results = await session.run(Object.fromEntries(feeds))
  await session.release()
  return graph.outputs.map(({ name }) => Array.from(results[name]?.data ?? [], Number))
}

function numbers(shape: Shape, seed: number): Float32Array {
  const values = new Float32Array(elementCount(shape))
  new Random(seed).fillUniform(values)
  return values.map((value) => value - 0.5)
}

/** The largest difference, as a share of the largest element. */
function distance(got: readonly number[], want: readonly number[]): number {
  expect(got.length).toBe(want.length)
  const [worst, largest] = want.reduce(
    ([a, b], value, index) => [
      Math.max(a, Math.abs((got[index] ?? NaN) - value)),
      Math.max(b, Math.abs(value)),
    ],
    [0, 0],
  )
  return worst / largest
}
