/*
 * Shapes and types of every value that a graph makes, as the runtime's shape inference knows them. Compiled graphs
 * have fixed sizes, so it knows all of them; nothing is run.
 */
import * as ort from 'onnxruntime-node'

import type { Graph, ValueInfo } from './graph.ts'
import { COMPILED_OPSET, writeModel } from './write.ts'

export interface Inferred {
  type: string
  shape: readonly number[]
}

export async function inferShapes(graph: Graph): Promise<Map<string, Inferred>> {
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
    for (const value of session.outputMetadata) {
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
