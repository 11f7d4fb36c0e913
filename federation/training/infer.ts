/*
 * Shapes and types of every value that a graph makes, as the runtime's shape inference knows them, those in the bodies
 * of its loops included. Compiled graphs have fixed sizes, so it knows all of them; nothing is run.
 */
import * as ort from 'onnxruntime-node'

import { type Graph, intOf, type Node, type ValueInfo, valuesRead } from './graph.ts'
import { COMPILED_OPSET, writeModel } from './write.ts'

export interface Inferred {
  type: string
  shape: readonly number[]
}

export type Shapes = ReadonlyMap<string, Inferred>

/** Names in bodies are other than those around them: one map has them all. */
export async function inferShapes(graph: Graph): Promise<Map<string, Inferred>> {
  const values = await inferOwn(graph)
  for (const node of graph.nodes) {
    for (const body of bodiesOf(node)) {
      const inner = await inferShapes(withCaptured(withSizes(body, node, values), graph, values))
      for (const [name, value] of inner) values.set(name, value)
    }
  }
  return values
}

export function bodiesOf({ attributes }: Node): Graph[] {
  return Object.values(attributes).flatMap((attribute) =>
    attribute.kind === 'graph' ? [attribute.value] : [],
  )
}

/** The body of a Scan says nothing of the sizes of its inputs: states are as they come, sequences without their axis. */
function withSizes(body: Graph, node: Node, around: Shapes): Graph {
  if (node.op !== 'Scan') return body
  const states = body.inputs.length - intOf(node, 'num_scan_inputs', 0)
  const inputs = body.inputs.map((info, index) => {
    const given = around.get(node.inputs[index] ?? '')?.shape ?? []
    return { ...info, shape: index < states ? [...given] : given.slice(1) }
  })
  return { ...body, inputs }
}

/** A body as a graph of its own: what it takes from the graph around it is an input. */
function withCaptured(body: Graph, { initializers }: Graph, around: Shapes): Graph {
  const node: Node = {
    op: '',
    name: '',
    inputs: [],
    outputs: [],
    attributes: { body: { kind: 'graph', value: body } },
  }
  const names = [...valuesRead(node)]
  const captured = names.flatMap((name) => {
    const known = initializers.has(name) ? undefined : around.get(name)
    return known ? [{ name, type: known.type as ValueInfo['type'], shape: [...known.shape] }] : []
  })
  const constants = names.flatMap((name) => {
    const value = initializers.get(name)
    return value ? [[name, value] as const] : []
  })
  return {
    ...body,
    inputs: [...body.inputs, ...captured],
    initializers: new Map([...constants, ...body.initializers]),
  }
}

async function inferOwn(graph: Graph): Promise<Map<string, Inferred>> {
  const made = graph.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ''))
  const outputs = made.map((name) => ({ name }))
  const session = await ort.InferenceSession.create(
    writeModel({ ...graph, outputs }, 'inference', COMPILED_OPSET),
    { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4, graphOptimizationLevel: 'disabled' },
  )
  try {
    const values = new Map<string, Inferred>()
    for (const { name, type, shape } of graph.inputs) values.set(name, { type, shape: sizes(name, shape) })
    for (const [name, { type, shape }] of graph.initializers) values.set(name, { type, shape })
    const given = new Set(graph.outputs.map(({ name }) => name))
    for (const value of session.outputMetadata) {
      // How often a loop runs is not known, and so neither is the size of what it lists.
      if (value.isTensor && given.has(value.name) && value.shape.some((size) => typeof size !== 'number'))
        continue
      if (value.isTensor) values.set(value.name, { type: value.type, shape: sizes(value.name, value.shape) })
    }
    return values
  } finally {
    await session.release()
  }
}

/** The values between that have the rank of images, for a graph with convolutions. */
export function imagesIn({ nodes }: Graph, shapes: ReadonlyMap<string, Inferred>): ValueInfo[] {
  if (!nodes.some(({ op }) => op === 'Conv')) return []
  const names = nodes.flatMap(({ outputs }) => outputs)
  return names.flatMap((name) => {
    const { type, shape } = shapes.get(name) ?? { type: '', shape: [] }
    return type === 'float32' && shape.length === 4 ? [{ name, type, shape }] : []
  })
}

function sizes(name: string, shape: ValueInfo['shape']): number[] {
  return shape.map((size) => {
    if (typeof size === 'number' && size >= 0) return size
    throw new Error(`unreachable: the shape [${shape.join(', ')}] of ${name} is not fixed`)
  })
}
