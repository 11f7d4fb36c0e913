/*
 * For tests: runs a few nodes forward and backward as the compiler emits them, with every value that learns, every
 * constant and the gradients of the outputs given.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node'

import { emitBackward } from '../backward.ts'
import { fittedToMachine } from '../blocked/index.ts'
import { observe } from '../discover.ts'
import { emitForward } from '../emit.ts'
import { floatTensor, type Graph, type Node, type TensorValue, type ValueInfo } from '../graph.ts'
import { imagesIn, inferShapes } from '../infer.ts'
import { elementCount } from '../manifest.ts'
import type { Prepared } from '../prepare.ts'
import { prune } from '../prune.ts'
import { upgraded } from '../upgrade.ts'
import { COMPILED_OPSET, writeModel } from '../write.ts'

export interface GraphCase {
  nodes: readonly Node[]
  /** Of the nodes; that of compiled graphs if absent. */
  opset?: number
  /** Values that get gradients, by name. */
  parameters: Readonly<Record<string, TensorValue>>
  /** Running state, by name. */
  state?: Readonly<Record<string, TensorValue>>
  constants?: Readonly<Record<string, TensorValue>>
  /** Values to read, each with the gradient that flows back from it, if one does; perhaps made for its size. */
  outputs: readonly { name: string; dy?: readonly number[] | ((size: number) => readonly number[]) }[]
  batchSize?: number
  rowMask?: readonly number[]
  uniform?: readonly number[]
  mode?: 'training' | 'evaluation'
}

export interface GraphRun {
  outputs: Map<string, Tensor>
  gradients: Map<string, number[]>
  /** New values of the state, in the order in which the graph makes them. */
  newState: number[][]
}

const UNUSED = 'unused input'

export async function runGraph(given: GraphCase): Promise<GraphRun> {
  const prepared = preparedFor(given)
  const batchSize = given.batchSize ?? 1
  const discovered = await observe(prepared, prepared.model, batchSize)
  const forward = emitForward(prepared, discovered, given.mode ?? 'training')
  const { builder } = forward

  const feeds: Record<string, Tensor> = {
    [UNUSED]: floats(Array<number>(batchSize).fill(0), [batchSize]),
    [forward.sampleWeight]: floats(given.rowMask ?? Array<number>(batchSize).fill(1), [batchSize]),
  }
  for (const { name, value } of prepared.parameters) feeds[name] = tensorOf(value)
  for (const { name, shape } of forward.uniforms) feeds[name] = floats(given.uniform ?? [], shape)
  const seeds = new Map<string, string>()
  for (const { name, dy } of given.outputs) {
    if (dy === undefined) continue
    const shape = builder.shape(name)
    const seed = builder.input(`${name} dy`, shape)
    feeds[seed] = floats(typeof dy === 'function' ? dy(elementCount(shape)) : dy, shape)
    seeds.set(name, seed)
  }
  const gradients = emitBackward(forward, seeds, Object.keys(given.parameters))
  const names = given.outputs.map(({ name }) => name)
  // Identity: a gradient may be an input itself, and an output may not.
  const found = [...gradients].map(([name, value]) => [name, builder.add('Identity', [value])] as const)
  const state = [...forward.newState.values()]
  const outputs = [...names, ...found.map(([, value]) => value), ...state].map((name) => ({ name }))
  const results = await run(await fitted(prune(builder, outputs)), feeds)
  return {
    outputs: new Map(names.map((name) => [name, read(results, name)])),
    gradients: new Map(found.map(([name, value]) => [name, Array.from(read(results, value).data, Number)])),
    newState: state.map((name) => Array.from(read(results, name).data, Number)),
  }
}

/** As a trainer would load it. */
async function fitted(graph: Graph): Promise<Uint8Array> {
  const hasConvolution = graph.nodes.some(({ op }) => op === 'Conv')
  const values = hasConvolution ? imagesIn(graph, await inferShapes(graph)) : []
  return fittedToMachine(writeModel({ ...graph, values }, 'test', COMPILED_OPSET))
}

async function run(bytes: Uint8Array, feeds: Record<string, Tensor>): Promise<Map<string, Tensor>> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  try {
    return new Map(Object.entries(await session.run(feeds)))
  } finally {
    await session.release()
  }
}

function read(results: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const tensor = results.get(name)
  if (!tensor) throw new Error(`the graph has no output ${name}`)
  return tensor
}

function preparedFor({
  nodes,
  opset = COMPILED_OPSET,
  parameters,
  state = {},
  constants = {},
  outputs,
}: GraphCase): Prepared {
  const input: ValueInfo = { name: UNUSED, type: 'float32', shape: ['batch'] }
  const initializers = new Map(Object.entries({ ...parameters, ...state, ...constants }))
  const model = upgraded({ opset, inputs: [input], outputs: [], initializers, nodes, buffers: new Set() })
  const varying = new Set([...Object.keys(parameters), ...Object.keys(state)])
  const made = new Set([...varying, ...model.nodes.flatMap((node) => node.outputs)])
  const used = model.nodes.flatMap(({ inputs }) => inputs).filter((name) => name !== '' && !made.has(name))
  const named = (values: Readonly<Record<string, TensorValue>>, trainable: boolean): Prepared['parameters'] =>
    Object.entries(values).map(([name, value]) => ({ name, value, trainable, initializer: name }))
  return {
    model: { ...model, outputs: outputs.map(({ name }) => ({ name })) },
    inputs: [input],
    output: outputs[0]?.name ?? '',
    parameters: [...named(parameters, true), ...named(state, false)],
    nodes: [...model.nodes],
    constants: new Set(used),
  }
}

export function tensorOf({ type, shape, data }: TensorValue): Tensor {
  return new Tensor(type, data, shape)
}

function floats(data: readonly number[], shape: readonly number[]): Tensor {
  return tensorOf(floatTensor(data, shape))
}
