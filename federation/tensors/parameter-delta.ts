// The way down: new parameters as a difference from those that a node has. Lossless: the node gets the very bits, whatever the
// numbers. The next value is predicted (base + low-rank part of the change); what travels is the distance between prediction and
// truth, counted in float32 numbers that lie between them, with the size expected from row, column and exponent. The caller
// compares digests before (of the base) and after (of the result).
import { BLOCK_LENGTH, containerSizeBound, partsOf, writeContainer } from './container.ts'
import { Container } from './container-reader.ts'
import type { Layout } from './layout.ts'
import { lowRankWorthwhile } from './low-rank-choice.ts'
import { fillProduct, type LowRank } from './low-rank.ts'
import { Magnitudes } from './magnitudes.ts'
import type { ByteSource } from './source.ts'

const KIND = 2
const RANK = 16
/** A float32 has the value integer · 2^(exponent - 150), its exponent field being at least 1. */
const EXPONENT_BIAS = 150

/**
 * What a node with `base` needs to have `next`.
 * @throws RangeError when lengths differ
 */
export function encodeParameterDelta(base: Float32Array, next: Float32Array, layout: Layout): Uint8Array {
  checkLength('base', base, layout)
  checkLength('next', next, layout)
  const change = next.map((value, index) => value - (base[index] as number))
  const lowRanks = layout.matrices.map((matrix) => lowRankWorthwhile(matrix, change, RANK))
  const predicted = new Float32Array(layout.length)
  predict({ base, layout, lowRanks }, 0, predicted)
  const integers = distances(predicted, next)
  const left = next.map((value, index) => value - (predicted[index] as number))
  const magnitudes = Magnitudes.of(layout, left, (index) => integers[index] === 0)
  const units = (start: number, into: Int16Array): void => fillUnits(predicted.subarray(start), into)
  return writeContainer({
    kind: KIND,
    layout,
    fields: new Uint8Array(0),
    lowRanks,
    magnitudes,
    integers,
    units,
  })
}

/** Bytes that a delta never exceeds. */
export function parameterDeltaSizeBound(layout: Layout): number {
  return containerSizeBound(layout, 0)
}

/**
 * The parameters that `encodeParameterDelta` was given as `next`, bit for bit, when `base` is the same.
 * @throws EncodingError when the bytes are not a delta for this layout
 */
export async function applyParameterDelta(
  base: Float32Array,
  delta: ByteSource,
  layout: Layout,
): Promise<Float32Array> {
  checkLength('base', base, layout)
  const container = await Container.open(delta, layout, { kind: KIND, fieldsSize: 0 })
  const next = new Float32Array(layout.length)
  const integers = new Int32Array(BLOCK_LENGTH)
  for (let start = 0; start < layout.length; start += BLOCK_LENGTH) {
    const into = next.subarray(start, start + BLOCK_LENGTH)
    predict({ base, layout, lowRanks: container.lowRanks }, start, into)
    const own = integers.subarray(0, into.length)
    await container.decode(start / BLOCK_LENGTH, own, (_, units) => fillUnits(into, units))
    advance(into, own)
  }
  return next
}

interface Prediction {
  readonly base: Float32Array
  readonly layout: Layout
  readonly lowRanks: readonly (LowRank | undefined)[]
}

/**
 * Predictions of the values from `start` on, rounded to float32. A matrix with numbers that are not finite has no low-rank
 * part, so no NaN is computed here, whose bits would not be the same everywhere.
 */
function predict({ base, layout, lowRanks }: Prediction, start: number, into: Float32Array): void {
  into.set(base.subarray(start, start + into.length))
  for (const { matrix, index, from, at, count } of partsOf(layout, start, into.length)) {
    const lowRank = lowRanks[index]
    if (!lowRank) continue
    const change = new Float64Array(count)
    fillProduct(lowRank, matrix.columns, from, change)
    for (let i = 0; i < count; i++) {
      into[at + i] = (into[at + i] as number) + (change[i] as number)
    }
  }
}

/** How many float32 numbers lie between two, with -0 and 0 being neighbours; exact modulo 2^32. */
function distances(from: Float32Array, to: Float32Array): Int32Array {
  const a = bitsOf(from)
  const b = bitsOf(to)
  return Int32Array.from(a, (bits, index) => (ordered(b[index] as number) - ordered(bits)) | 0)
}

/** The inverse: moves each value by that many float32 numbers. */
function advance(values: Float32Array, by: Int32Array): void {
  const bits = bitsOf(values)
  for (let i = 0; i < bits.length; i++) {
    bits[i] = ordered((ordered(bits[i] as number) + (by[i] as number)) | 0)
  }
}

/** Maps the bits of floats to integers of the same order; its own inverse. */
function ordered(bits: number): number {
  return bits < 0 ? bits ^ 0x7fff_ffff : bits
}

/** Octaves of the distance from each value to the next float32 number. */
function fillUnits(values: Float32Array, into: Int16Array): void {
  const bits = bitsOf(values)
  for (let i = 0; i < into.length; i++) {
    into[i] = Math.max(1, ((bits[i] as number) >>> 23) & 0xff) - EXPONENT_BIAS
  }
}

function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length)
}

function checkLength(name: string, values: Float32Array, layout: Layout): void {
  if (values.length === layout.length) return
  throw new RangeError(`${name} has ${values.length} values; the layout has ${layout.length}`)
}
