/*
 * Samples in memory and how batches are cut from them. A batch always has the graph's number of rows: missing
 * rows are zeros with sample weight 0, which changes neither loss nor gradients. Labels are checked once, so
 * that a class out of range is an error and not a silent zero loss.
 */
import { elementCount, type TrainingManifest } from './manifest.ts'

type IntegerRange = NonNullable<TrainingManifest['input']['integers']>[number]

export interface Samples {
  /** count × the input's elements a sample, row after row. */
  x: Float32Array
  /** count × the label's elements a sample: class numbers (Int32Array) or values (Float32Array). */
  y: Float32Array | Int32Array
  count: number
}

export interface Batch {
  x: Float32Array
  y: Float32Array | Int32Array
  weight: Float32Array
}

export function checkSamples(samples: Samples, manifest: TrainingManifest): void {
  const { count, x, y } = samples
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`samples.count is ${count}, expected at least 1`)
  checkLength('samples.x', x.length, count * rowSize(manifest.input.shape))
  checkLength('samples.y', y.length, count * rowSize(manifest.label.shape))
  const isInteger = y instanceof Int32Array
  if (isInteger !== (manifest.label.type === 'int32')) {
    throw new TypeError(`samples.y is a ${y.constructor.name}, expected ${manifest.label.type} labels`)
  }
  checkFinite('samples.x', x)
  checkFinite('samples.y', y)
  for (const range of manifest.input.integers ?? []) checkIntegers(samples, range)
  const { classes } = manifest.label
  if (classes !== undefined) checkClasses(y, classes)
}

const ELEMENT_BYTES = 4

/** @param bytes where the arrays are */
export function newBatch(
  manifest: TrainingManifest,
  batchSize: number,
  bytes: (length: number) => ArrayBufferLike = (length) => new ArrayBuffer(length),
): Batch {
  const labels = bytes(ELEMENT_BYTES * batchSize * rowSize(manifest.label.shape))
  return {
    x: new Float32Array(bytes(ELEMENT_BYTES * batchSize * rowSize(manifest.input.shape))),
    y: manifest.label.type === 'int32' ? new Int32Array(labels) : new Float32Array(labels),
    weight: new Float32Array(bytes(ELEMENT_BYTES * batchSize)),
  }
}

/** Copies the samples that `order[from…]` names into the batch; returns how many there were. */
export function fillBatch(batch: Batch, samples: Samples, order: Uint32Array, from: number): number {
  const rows = Math.min(batch.weight.length, order.length - from)
  const xSize = samples.x.length / samples.count
  const ySize = samples.y.length / samples.count
  for (let row = 0; row < rows; row++) {
    const sample = order[from + row] ?? 0
    batch.x.set(samples.x.subarray(sample * xSize, (sample + 1) * xSize), row * xSize)
    batch.y.set(samples.y.subarray(sample * ySize, (sample + 1) * ySize), row * ySize)
  }
  batch.weight.fill(1, 0, rows).fill(0, rows)
  batch.x.fill(0, rows * xSize)
  batch.y.fill(0, rows * ySize)
  return rows
}

/** The numbers 0 … count - 1. */
export function ascending(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, index) => index)
}

function rowSize(shape: readonly number[]): number {
  return elementCount(shape.slice(1))
}

function checkLength(field: string, length: number, want: number): void {
  if (length !== want) throw new RangeError(`${field} has ${length} elements, expected ${want}`)
}

/** Index of the first element that is infinite or not a number, -1 if there is none. */
export function firstNotFinite(values: Float32Array | Int32Array): number {
  // A loop and a subtraction: a callback for each element takes longer than a step of training.
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0
    if (value - value !== 0) return index
  }
  return -1
}

function checkFinite(field: string, values: Float32Array | Int32Array): void {
  const at = firstNotFinite(values)
  if (at >= 0) throw new RangeError(`${field}[${at}] is ${values[at]}, expected finite numbers`)
}

/** What a sample holds for an input of integers, such as token numbers. */
function checkIntegers({ x, count }: Samples, range: IntegerRange): void {
  const size = x.length / count
  for (let sample = 0; sample < count; sample++) {
    const start = sample * size + range.first
    for (let index = start; index < start + range.count; index++) {
      const value = x[index] ?? NaN
      if (Number.isInteger(value) && value >= range.minimum && value <= range.maximum) continue
      throw new RangeError(
        `samples.x[${index}] is ${value}, expected a whole number from ${range.minimum} to ${range.maximum}`,
      )
    }
  }
}

function checkClasses(y: Float32Array | Int32Array, classes: number): void {
  for (const [index, label] of y.entries()) {
    if (label < 0 || label >= classes) {
      throw new RangeError(`samples.y[${index}] is ${label}, expected a class from 0 to ${classes - 1}`)
    }
  }
}
