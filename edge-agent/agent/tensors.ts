// Tensors as the Open Inference Protocol writes them in JSON, to and from typed arrays. Whatever does not fit is refused
// with a sentence that names the tensor, what was given and what was expected.
import type { ElementType, TensorData, TensorDescription, TensorValue } from './model-jobs.ts'

/** A request that the model cannot take; the message is for the person who wrote it. */
export class BadTensor extends Error {
  override readonly name = 'BadTensor'
}

export const DATATYPES: Record<ElementType, string> = {
  float32: 'FP32',
  float64: 'FP64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
}

export interface JsonTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly datatype: string
  readonly data: readonly unknown[]
}

interface IntegerRange {
  readonly minimum: number
  readonly maximum: number
}

const INTEGERS: Partial<Record<ElementType, IntegerRange>> = {
  int8: { minimum: -128, maximum: 127 },
  int16: { minimum: -32_768, maximum: 32_767 },
  int32: { minimum: -2_147_483_648, maximum: 2_147_483_647 },
  int64: { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
  uint8: { minimum: 0, maximum: 255 },
  uint16: { minimum: 0, maximum: 65_535 },
  uint32: { minimum: 0, maximum: 4_294_967_295 },
  uint64: { minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
}

/** Checks a given tensor against the model's input and makes it what the session takes. */
export function fromJson(given: JsonTensor, expected: TensorDescription): TensorValue {
  const { name, type } = expected
  const datatype = DATATYPES[type]
  if (given.datatype !== datatype) {
    throw new BadTensor(`input ${name}: datatype ${given.datatype} given, ${datatype} expected`)
  }
  if (!fits(given.shape, expected.shape)) {
    throw new BadTensor(
      `input ${name}: shape [${given.shape.join(', ')}] given, [${expected.shape.join(', ')}] expected`,
    )
  }
  const values = flatten(given, name)
  return { name, type, shape: given.shape, data: toArray(values, type, name) }
}

/** @throws Error when an output holds a number that JSON cannot */
export function toJson({ name, type, shape, data }: TensorValue): JsonTensor {
  const values: unknown[] = Array.from(data as Iterable<unknown>, (value) => fromElement(value, type))
  const broken = values.findIndex((value) => typeof value === 'number' && !Number.isFinite(value))
  if (broken >= 0)
    throw new Error(`output ${name}: element ${broken} is ${String(values[broken])}, which JSON cannot hold`)
  return { name, datatype: DATATYPES[type], shape, data: values }
}

/** -1 in the model's shape takes any size from 1. */
function fits(given: readonly number[], expected: readonly number[]): boolean {
  if (given.length !== expected.length) return false
  return given.every((size, axis) => (expected[axis] === -1 ? size >= 1 : size === expected[axis]))
}

/** Data come flat in row-major order, or nested as the shape says. */
function flatten({ data, shape }: JsonTensor, name: string): readonly unknown[] {
  const count = shape.reduce((product, size) => product * size, 1)
  if (!data.some((item) => Array.isArray(item))) {
    if (data.length === count) return data
    throw new BadTensor(
      `input ${name}: ${data.length} elements given, ${count} expected for shape [${shape.join(', ')}]`,
    )
  }
  const flat: unknown[] = []
  collect(data, shape, name, flat)
  return flat
}

function collect(item: unknown, shape: readonly number[], name: string, into: unknown[]): void {
  const [size, ...rest] = shape
  if (size === undefined) {
    into.push(item)
    return
  }
  if (!Array.isArray(item) || item.length !== size) {
    const given = Array.isArray(item) ? `a list of ${item.length}` : 'a single value'
    throw new BadTensor(`input ${name}: its nested data have ${given} where a list of ${size} is expected`)
  }
  for (const inner of item) collect(inner, rest, name, into)
}

function toArray(values: readonly unknown[], type: ElementType, name: string): TensorData {
  const check = (value: unknown, index: number): unknown => {
    if (isElement(value, type)) return value
    const given = JSON.stringify(value).slice(0, 40)
    throw new BadTensor(`input ${name}: element ${index} is ${given}, expected ${expectation(type)}`)
  }
  const checked = values.map(check)
  switch (type) {
    case 'string':
      return checked as string[]
    case 'bool':
      return Uint8Array.from(checked as boolean[], Number)
    case 'int64':
      return BigInt64Array.from(checked as number[], BigInt)
    case 'uint64':
      return BigUint64Array.from(checked as number[], BigInt)
    default:
      return new NUMBER_ARRAYS[type](checked as number[])
  }
}

const NUMBER_ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
} as const

function isElement(value: unknown, type: ElementType): boolean {
  if (type === 'string') return typeof value === 'string'
  if (type === 'bool') return typeof value === 'boolean'
  if (typeof value !== 'number') return false
  const range = INTEGERS[type]
  if (range) return Number.isInteger(value) && value >= range.minimum && value <= range.maximum
  return Number.isFinite(type === 'float32' ? Math.fround(value) : value)
}

function expectation(type: ElementType): string {
  if (type === 'string') return 'a string'
  if (type === 'bool') return 'true or false'
  const range = INTEGERS[type]
  return range
    ? `an integer from ${range.minimum} to ${range.maximum}`
    : `a finite number within ${DATATYPES[type]}`
}

function fromElement(value: unknown, type: ElementType): unknown {
  if (type === 'bool') return value === 1
  return typeof value === 'bigint' ? Number(value) : value
}
