/*
 * Constant folding: what depends on constants alone is computed once, by the runtime that will run the graph, and becomes a
 * constant. Large results stay as they are made: a file should not grow by what a few numbers say.
 */
import * as ort from 'onnxruntime-node'

import type { Graph, Node, TensorData, TensorValue } from '../graph.ts'
import { bodiesOf, inferShapes, type Shapes } from '../infer.ts'
import { elementCount } from '../manifest.ts'
import { COMPILED_OPSET, writeModel } from '../write.ts'

import { withoutDead } from './dead.ts'

/** Elements of a value that is folded. */
const ELEMENT_LIMIT = 4096
const TYPES: ReadonlySet<string> = new Set(['float32', 'int32', 'int64', 'bool'])

export async function folded(graph: Graph): Promise<Graph> {
  const candidates = constantNodes(graph)
  if (candidates.length === 0) return graph
  const given: Graph = { inputs: [], outputs: [], initializers: graph.initializers, nodes: candidates }
  const shapes = await inferShapes(withoutUnused(given))
  const small = candidates.filter((node) => node.outputs.every((name) => isSmall(name, shapes)))
  const nodes = constantNodes({ ...graph, nodes: small })
  if (nodes.length === 0) return graph
  const values = await computed(withoutUnused({ ...given, nodes }))
  const gone = new Set(nodes)
  return withoutDead({
    ...graph,
    initializers: new Map([...graph.initializers, ...values]),
    nodes: graph.nodes.filter((node) => !gone.has(node)),
  })
}

/** Nodes that depend on initializers alone and do not make an output of the graph. */
function constantNodes({ initializers, outputs, nodes }: Graph): Node[] {
  const known = new Set([...initializers.keys(), ''])
  const wanted = new Set(outputs.map(({ name }) => name))
  return nodes.filter((node) => {
    const isConstant =
      bodiesOf(node).length === 0 &&
      node.inputs.every((name) => known.has(name)) &&
      !node.outputs.some((name) => wanted.has(name))
    if (isConstant) for (const name of node.outputs) known.add(name)
    return isConstant
  })
}

/** With all that the nodes make as outputs, and the constants that they read. */
function withoutUnused(graph: Graph): Graph {
  const outputs = graph.nodes.flatMap((node) =>
    node.outputs.filter((name) => name !== '').map((name) => ({ name })),
  )
  return withoutDead({ ...graph, outputs })
}

function isSmall(name: string, shapes: Shapes): boolean {
  const value = shapes.get(name)
  return (
    name === '' ||
    (value !== undefined && TYPES.has(value.type) && elementCount(value.shape) <= ELEMENT_LIMIT)
  )
}

async function computed(graph: Graph): Promise<[string, TensorValue][]> {
  const session = await ort.InferenceSession.create(writeModel(graph, 'constants', COMPILED_OPSET), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    graphOptimizationLevel: 'disabled',
  })
  try {
    const outputs = await session.run({})
    return Object.entries(outputs).map(([name, { type, dims, data }]) => [
      name,
      { type: type as TensorValue['type'], shape: dims, data: data as TensorData },
    ])
  } finally {
    await session.release()
  }
}
