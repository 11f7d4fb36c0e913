/*
 * The discovery run: the runtime itself tells shapes and the values of everything that does not vary, by loading
 * the user's graph with the batch size fixed and running it once on zeros. What the runtime's shape inference
 * knows beforehand is checked against the limits before anything is run.
 */
import * as ort from 'onnxruntime-node'

import type { Shape } from './builder.ts'
import { ModelError } from './errors.ts'
import { type ElementType, quoted, type TensorData, type TensorValue, type ValueInfo } from './graph.ts'
import { withoutFixedBatch } from './fixed-batch.ts'
import { zerosOf } from './inputs.ts'
import { elementCount } from './manifest.ts'
import type { Model } from './model.ts'
import type { Prepared } from './prepare.ts'
import { writeModel } from './write.ts'

export interface Discovered {
  shapes: Map<string, Shape>
  /** Element types of all values that have a shape. */
  types: Map<string, ElementType>
  constants: Map<string, TensorValue>
}

/** Elements of one value of the graph. */
const ELEMENT_LIMIT = 2 ** 28

export async function discover(prepared: Prepared, batchSize: number): Promise<Discovered> {
  const fixed = prepared.inputs[0]?.shape[0]
  if (typeof fixed !== 'number' || fixed === batchSize) return discoverAt(prepared, prepared.model, batchSize)
  const asGiven = await discoverAt(prepared, prepared.model, fixed)
  return discoverAt(prepared, withoutFixedBatch(prepared.model, asGiven.shapes, fixed), batchSize)
}

async function discoverAt(prepared: Prepared, model: Model, batchSize: number): Promise<Discovered> {
  const discovered = await observe(prepared, model, batchSize)
  const made = discovered.shapes.get(prepared.output)?.[0]
  if (made !== batchSize) {
    throw new ModelError(
      `graph output ${quoted(prepared.output)} has a first dimension of ${made} for a batch of ${batchSize}; ` +
        'it must be the batch: export the model with a dynamic batch dimension',
    )
  }
  return discovered
}

/** What a run of `model`, the prepared one at a batch size, shows; without a check of the output's batch. */
export async function observe(prepared: Prepared, model: Model, batchSize: number): Promise<Discovered> {
  const { parameters } = prepared
  const inputs = prepared.inputs.map(({ name, type, shape }) => {
    return { name, type, shape: [batchSize, ...shape.slice(1).map(Number)] }
  })
  const folded = [...prepared.constants].filter((name) => !model.initializers.has(name))
  const wanted = { shapes: observable(prepared), values: folded }
  const run = await runOnZeros(model, inputs, wanted)
  const constants = new Map([...model.initializers].filter(([name]) => prepared.constants.has(name)))
  for (const name of folded) constants.set(name, plainTensor(name, run.values.get(name)))
  const shapes = new Map(run.shapes)
  const types = new Map(run.types)
  const constant = [...constants].map(([name, { type, shape }]) => ({ name, type, shape }))
  const learning = parameters.map(({ name, value: { type, shape } }) => ({ name, type, shape }))
  for (const { name, type, shape } of [...inputs, ...learning, ...constant]) {
    shapes.set(name, shape)
    types.set(name, type)
  }
  return { shapes, types, constants }
}

/** The values that vary: every node's first output, and of the further ones those that are used. */
function observable({ model, nodes }: Prepared): string[] {
  const used = new Set([...model.outputs.map(({ name }) => name), ...nodes.flatMap(({ inputs }) => inputs)])
  return nodes
    .flatMap(({ outputs }) => outputs.filter((name, index) => index === 0 || used.has(name)))
    .filter((name) => name !== '')
}

interface Run {
  shapes: Map<string, Shape>
  types: Map<string, ElementType>
  values: Map<string, ort.Tensor>
}

type SizedInput = ValueInfo & { shape: number[] }

interface Wanted {
  shapes: readonly string[]
  values: readonly string[]
}

async function runOnZeros(model: Model, inputs: readonly SizedInput[], wanted: Wanted): Promise<Run> {
  const outputs = [...new Set([...wanted.shapes, ...wanted.values])]
  const graph = { inputs, outputs: outputs.map((name) => ({ name })), ...pick(model) }
  const session = await load(writeModel(graph, 'discovery', model.opset))
  try {
    const inferred = inferredShapes(session)
    const fetches = outputs.filter((name) => !inferred.has(name) || wanted.values.includes(name))
    const feeds = Object.fromEntries(inputs.map((input) => [input.name, zeros(input)]))
    const values = fetches.length > 0 ? await execute(session, feeds, fetches) : new Map<string, ort.Tensor>()
    for (const [name, { dims }] of values) checkShape(name, dims)
    const observed = [...values].map(([name, { dims }]) => [name, dims] as const)
    return {
      shapes: new Map([...inferred, ...observed]),
      types: elementTypes(session, wanted.shapes),
      values,
    }
  } finally {
    await session.release()
  }
}

function zeros({ type, shape }: SizedInput): ort.Tensor {
  return new ort.Tensor(type, zerosOf(type, elementCount(shape)), shape)
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

function elementTypes(session: ort.InferenceSession, names: readonly string[]): Map<string, ElementType> {
  const types = new Map<string, ElementType>()
  const wanted = new Set(names)
  for (const { name, isTensor, ...output } of session.outputMetadata) {
    if (!wanted.has(name)) continue
    const type = isTensor && 'type' in output ? output.type : 'no tensor'
    if (!isElementType(type) || type === 'float64') {
      throw new ModelError(
        `value ${quoted(name)} has element type ${type}; supported where values depend on the input or on ` +
          'parameters are float32, int64, int32 and bool',
      )
    }
    types.set(name, type)
  }
  return types
}

/** What shape inference knows for certain, checked; an empty shape may also mean that it knows nothing. */
function inferredShapes(session: ort.InferenceSession): Map<string, Shape> {
  const shapes = new Map<string, Shape>()
  for (const output of session.outputMetadata) {
    if (!output.isTensor || output.shape.length === 0) continue
    const sizes = output.shape.filter((size) => typeof size === 'number')
    const known = sizes.filter((size) => size >= 0)
    checkShape(output.name, known)
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
  const { type, dims, data } = tensor ?? { type: 'nothing', dims: [], data: [] }
  const isArray = TENSOR_ARRAYS.some((array) => data instanceof array)
  if (isElementType(type) && isArray) return { type, shape: dims, data: data as TensorData }
  throw new ModelError(
    `constant ${quoted(name)} has element type ${type}; supported are ${ELEMENT_TYPES.join(', ')}`,
  )
}

const TENSOR_ARRAYS = [Float32Array, Float64Array, BigInt64Array, Int32Array, Uint8Array]
const ELEMENT_TYPES: readonly ElementType[] = ['float32', 'float64', 'int64', 'int32', 'bool']

function isElementType(type: string): type is ElementType {
  return ELEMENT_TYPES.some((known) => known === type)
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.length > 500 ? `${text.slice(0, 497)}...` : text
}
