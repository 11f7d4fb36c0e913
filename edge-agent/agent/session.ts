// A model's ONNX Runtime session: made from bytes in memory, described in plain terms, tried once on zeros before it is
// called loaded. ONNX Runtime blocks the thread that it runs on, so this belongs into a thread of its own.
import * as ort from 'onnxruntime-node'

import type {
  ElementType,
  ModelDescription,
  TensorData,
  TensorDescription,
  TensorValue,
} from './model-jobs.ts'

const ARRAYS: Record<
  Exclude<ElementType, 'string'>,
  new (length: number) => Exclude<TensorData, readonly string[]>
> = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
}

export class Session {
  readonly description: ModelDescription
  readonly #session: ort.InferenceSession

  private constructor(session: ort.InferenceSession) {
    this.#session = session
    this.description = {
      inputs: session.inputMetadata.map(describe),
      outputs: session.outputMetadata.map(describe),
    }
  }

  static async load(bytes: Uint8Array): Promise<Session> {
    const session = new Session(
      await ort.InferenceSession.create(bytes, {
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        executionMode: 'sequential',
      }),
    )
    await session.run(session.description.inputs.map(zeros), [])
    return session
  }

  /** @param outputs names of the outputs wanted; none means all */
  async run(inputs: readonly TensorValue[], outputs: readonly string[]): Promise<TensorValue[]> {
    const feeds = Object.fromEntries(inputs.map((input) => [input.name, toTensor(input)]))
    const fetches = outputs.length > 0 ? outputs : this.#session.outputNames
    const results = await this.#session.run(feeds, [...fetches])
    return fetches.map((name) => fromTensor(name, results[name]))
  }
}

function describe(metadata: ort.InferenceSession.ValueMetadata): TensorDescription {
  const { name } = metadata
  if (!metadata.isTensor) throw new Error(`${name} is not a tensor; only tensors are served`)
  const type = metadata.type
  if (type !== 'string' && !(type in ARRAYS)) {
    throw new Error(
      `${name} has elements of type ${type}; served are ${Object.keys(ARRAYS).join(', ')} and string`,
    )
  }
  const shape = metadata.shape.map((size) => (typeof size === 'number' ? size : -1))
  return { name, type: type as ElementType, shape }
}

function zeros({ name, type, shape }: TensorDescription): TensorValue {
  const sizes = shape.map((size) => (size < 0 ? 1 : size))
  const length = sizes.reduce((product, size) => product * size, 1)
  const data = type === 'string' ? new Array<string>(length).fill('') : new ARRAYS[type](length)
  return { name, type, shape: sizes, data }
}

function toTensor({ type, data, shape }: TensorValue): ort.Tensor {
  return new ort.Tensor(type, data, shape)
}

function fromTensor(name: string, tensor: ort.OnnxValue | undefined): TensorValue {
  if (!tensor) throw new Error(`the session gave no output ${name}`)
  const { type, dims, data } = tensor
  return { name, type: type as ElementType, shape: dims, data: data }
}
