/*
 * The discovery run: the runtime itself tells shapes and the values of everything that does not vary, by loading
 * the user's graph with the batch size fixed and running it once on zeros. What the runtime's shape inference
 * knows beforehand is checked against the limits before anything is run.
 */
import * as ort from 'onnxruntime-node'

import type { Shape } from './builder.ts'
import { ModelError } from './errors.ts'
import { int64Tensor, quoted, type TensorValue } from './graph.ts'
import { elementCount } from './manifest.ts'
import type { Model } from './model.ts'
import type { Prepared } from './prepare.ts'
import { writeModel } from './write.ts'

export interface Discovered {
  shapes: Map<string, Shape>
  constants: Map<string, TensorValue>
}

/** Elements of one value of the graph. */
const ELEMENT_LIMIT = 2 ** 28

export async function discover(prepared: Prepared, batchSize: number): Promise<Discovered> {
  const fixed = prepared.input.shape[0]
  if (typeof fixed !== 'number' || fixed === batchSize) return discoverAt(prepared, prepared.model, batchSize)
  const asGiven = await discoverAt(prepared, prepared.model, fixed)
  return discoverAt(prepared, withoutFixedBatch(prepared.model, asGiven, fixed), batchSize)
}

async function discoverAt(prepared: Prepared, model: Model, batchSize: number): Promise<Discovered> {
  const { input, parameters, nodes } = prepared
  const shape = [batchSize, ...input.shape.slice(1).map(Number)]
  const folded = [...prepared.constants].filter((name) => !model.initializers.has(name))
  const wanted = { shapes: nodes.map(({ outputs }) => outputs[0] ?? ''), values: folded }
  const run = await runOnZeros(model, { name: input.name, shape }, wanted)
  const constants = new Map([...model.initializers].filter(([name]) => prepared.constants.has(name)))
  for (const name of folded) constants.set(name, plainTensor(name, run.values.get(name)))
  const shapes = new Map<string, Shape>([...run.shapes, [input.name, shape]])
  for (const { name, value } of parameters) shapes.set(name, value.shape)
  for (const [name, value] of constants) shapes.set(name, value.shape)
  const made = shapes.get(prepared.output)?.[0]
  if (made !== batchSize) {
    throw new ModelError(
      `graph output ${quoted(prepared.output)} has a first dimension of ${made} for a batch of ${batchSize}; ` +
        'it must be the batch: export the model with a dynamic batch dimension',
    )
  }
  return { shapes, constants }
}

interface Run {
  shapes: Map<string, Shape>
  values: Map<string, ort.Tensor>
}

interface Wanted {
  shapes: readonly string[]
  values: readonly string[]
}

async function runOnZeros(model: Model, x: { name: string; shape: number[] }, wanted: Wanted): Promise<Run> {
  const outputs = [...new Set([...wanted.shapes, ...wanted.values])]
  const inputs = [{ ...x, type: 'float32' as const }]
  const graph = { inputs, outputs: outputs.map((name) => ({ name })), ...pick(model) }
  const session = await load(writeModel(graph, 'discovery', model.opset))
  try {
    const inferred = inferredShapes(session)
    const fetches = outputs.filter((name) => !inferred.has(name) || wanted.values.includes(name))
    const feeds = { [x.name]: new ort.Tensor('float32', new Float32Array(elementCount(x.shape)), x.shape) }
    const values = fetches.length > 0 ? await execute(session, feeds, fetches) : new Map<string, ort.Tensor>()
    const shapes = new Map<string, Shape>(inferred)
    for (const [name, { dims }] of values) shapes.set(name, dims)
    for (const [name, shape] of shapes) checkShape(name, shape)
    return { shapes, values }
  } finally {
    await session.release()
  }
}

function pick({ initializers, nodes }: Model): Pick<Model, 'initializers' | 'nodes'> {
  return { initializers, nodes }
}

async function load(bytes: Uint8Array): Promise<ort.InferenceSession> {
  try {
    // Unoptimised: optimisation would run constant parts before their sizes have been checked.
    return await ort.InferenceSession.create(bytes, { ...QUIET, graphOptimizationLevel: 'disabled' })
  } catch (error) {
    throw new ModelError(`ONNX Runtime does not accept the model: ${messageOf(error)}`)
  }
}

async function execute(
  session: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  fetches: readonly string[],
): Promise<Map<string, ort.Tensor>> {
  try {
    return new Map(Object.entries(await session.run(feeds, fetches)))
  } catch (error) {
    throw new ModelError(`the model does not run on a batch of this size: ${messageOf(error)}`)
  }
}

const QUIET: ort.InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 4,
}

/** What shape inference knows for certain; an empty shape may also mean that it knows nothing. */
function inferredShapes(session: ort.InferenceSession): Map<string, Shape> {
  const shapes = new Map<string, Shape>()
  for (const output of session.outputMetadata) {
    if (!output.isTensor || output.shape.length === 0) continue
    const sizes = output.shape.filter((size) => typeof size === 'number')
    const known = sizes.filter((size) => size >= 0)
    if (elementCount(known) > ELEMENT_LIMIT) checkShape(output.name, known)
    if (known.length === output.shape.length) shapes.set(output.name, known)
  }
  return shapes
}

function checkShape(name: string, shape: Shape): void {
  const count = elementCount(shape)
  if (count >= 1 && count <= ELEMENT_LIMIT) return
  throw new ModelError(
    `value ${quoted(name)} has shape [${shape.join(', ')}], ${count} elements; supported are 1 to ${ELEMENT_LIMIT}`,
  )
}

function plainTensor(name: string, tensor: ort.Tensor | undefined): TensorValue {
  const shape = tensor?.dims ?? []
  const data = tensor?.data
  if (data instanceof Float32Array) return { type: 'float32', shape, data }
  if (data instanceof BigInt64Array) return { type: 'int64', shape, data }
  if (data instanceof Int32Array) return { type: 'int32', shape, data }
  if (data instanceof Uint8Array && tensor?.type === 'bool') return { type: 'bool', shape, data }
  throw new ModelError(
    `constant ${quoted(name)} has element type ${tensor?.type}; supported are float32, int64, int32 and bool`,
  )
}

/**
 * A model exported for one batch size has it in the target shapes of its Reshape nodes. There a 0 takes its
 * place, which copies the size from the input.
 */
function withoutFixedBatch(model: Model, { shapes }: Discovered, batch: number): Model {
  const initializers = new Map(model.initializers)
  const constants = new Map(model.nodes.map((node) => [node.outputs[0], node.attributes['value']]))
  const nodes = model.nodes.map((node, index) => {
    const [data = '', target = ''] = node.inputs
    if (node.op !== 'Reshape' || shapes.get(data)?.[0] !== batch) return node
    const constant = constants.get(target)
    const value = model.initializers.get(target) ?? (constant?.kind === 'tensor' ? constant.value : undefined)
    if (!value || Number(value.data[0]) !== batch || node.attributes['allowzero']) return node
    const name = `${target}.batch.${index}`
    initializers.set(name, int64Tensor([0, ...Array.from(value.data, Number).slice(1)]))
    return { ...node, inputs: [data, name] }
  })
  return { ...model, initializers, nodes }
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.length > 500 ? `${text.slice(0, 497)}...` : text
}
