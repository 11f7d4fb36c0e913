/*
 * ONNX TensorProto ↔ plain tensors, for the element types that a model may hold. Sizes are checked before
 * anything is allocated. Little-endian throughout, as ONNX's raw_data is.
 */
import { create } from '@bufbuild/protobuf'
import { type TensorProto, TensorProto_DataType as DataType, TensorProtoSchema } from 'onnx-buf'

import { ModelError } from './errors.ts'
import { type ElementType, quoted, type TensorData, type TensorValue } from './graph.ts'

export interface TensorLimits {
  rank: number
  elements: number
}

const ELEMENT_TYPES: ReadonlyMap<number, ElementType> = new Map([
  [DataType.FLOAT, 'float32'],
  [DataType.DOUBLE, 'float64'],
  [DataType.INT32, 'int32'],
  [DataType.INT64, 'int64'],
  [DataType.BOOL, 'bool'],
])
const DATA_TYPES = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
}
const BYTES = { float32: 4, float64: 8, int32: 4, int64: 8, bool: 1 }

export function elementType(dataType: number, what: string): ElementType {
  const type = ELEMENT_TYPES.get(dataType)
  if (type) return type
  const name = DataType[dataType]?.toLowerCase() ?? String(dataType)
  throw new ModelError(
    `${what} has element type ${name}; supported are float (float32), double, int32, int64 and bool`,
  )
}

export function dataTypeOf(type: ElementType): number {
  return DATA_TYPES[type]
}

export function readTensor(proto: TensorProto, what: string, limits: TensorLimits): TensorValue {
  const type = elementType(proto.dataType, what)
  const shape = readShape(proto, what, limits)
  const count = shape.reduce((product, size) => product * size, 1)
  const data = proto.rawData.length > 0 ? fromRaw(proto.rawData, type, what) : fromFields(proto, type)
  if (data.length !== count) {
    throw new ModelError(
      `${what} holds ${data.length} elements, but its shape [${shape.join(', ')}] has ${count}`,
    )
  }
  return { type, shape, data }
}

export function writeTensor(name: string, { type, shape, data }: TensorValue): TensorProto {
  const rawData = new Uint8Array(data.byteLength)
  rawData.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return create(TensorProtoSchema, { name, dataType: DATA_TYPES[type], dims: shape.map(BigInt), rawData })
}

function readShape(proto: TensorProto, what: string, limits: TensorLimits): number[] {
  if (proto.dims.length > limits.rank) {
    throw new ModelError(`${what} has ${proto.dims.length} dimensions; the limit is ${limits.rank}`)
  }
  let count = 1
  for (const size of proto.dims) {
    if (size < 0n) throw new ModelError(`${what} has a dimension of ${size}; sizes are 0 or more`)
    count *= Number(size)
    if (count > limits.elements) {
      throw new ModelError(`${what} has more than ${limits.elements} elements, the limit`)
    }
  }
  return proto.dims.map(Number)
}

function fromRaw(raw: Uint8Array, type: ElementType, what: string): TensorData {
  if (raw.length % BYTES[type] !== 0) {
    throw new ModelError(
      `${what} has ${raw.length} bytes of raw_data; ${type} needs a multiple of ${BYTES[type]}`,
    )
  }
  const { buffer } = Uint8Array.from(raw)
  if (type === 'float32') return new Float32Array(buffer)
  if (type === 'float64') return new Float64Array(buffer)
  if (type === 'int32') return new Int32Array(buffer)
  if (type === 'int64') return new BigInt64Array(buffer)
  return new Uint8Array(buffer)
}

function fromFields(proto: TensorProto, type: ElementType): TensorData {
  if (type === 'float32') return Float32Array.from(proto.floatData)
  if (type === 'float64') return Float64Array.from(proto.doubleData)
  if (type === 'int64') return BigInt64Array.from(proto.int64Data)
  return type === 'int32' ? Int32Array.from(proto.int32Data) : Uint8Array.from(proto.int32Data)
}

export function describeTensor(name: string): string {
  return `initializer ${quoted(name)}`
}
