// Updates as small integers (codecs Int8 and Int4). The difference is divided into steps of one size for all trained tensors,
// which is what makes the squared error least for its bytes, rounded with subtractive dither (dither.ts), and entropy-coded
// with the magnitude that row and column let expect; of large matrices, a low-rank part is taken out before and sent apart.
// Guarantees for every value of a trained tensor: unbiased; error at most half a step; root mean square error at most
// 0.289 steps. A row or column that is exactly 0 stays exactly 0. The same values and seed give the same bytes.
import type { UpdateReader } from '#federation/aggregation/reader.ts'
import { BLOCK_LENGTH, containerSizeBound, partsOf, writeContainer } from './container.ts'
import { Container } from './container-reader.ts'
import { ByteReader, ByteWriter } from './cursor.ts'
import { ditherAt } from './dither.ts'
import { ZERO_CLASS } from './integers.ts'
import { EXACT, exactValues, type Layout, type Matrix, restoreExact } from './layout.ts'
import { lowRankWorthwhile } from './low-rank-choice.ts'
import { fillProduct, type LowRank } from './low-rank.ts'
import { Magnitudes } from './magnitudes.ts'
import { blockReader } from './reader.ts'
import type { ByteSource } from './source.ts'

export interface Quantization {
  /**
   * Size of a step as a share of the root mean square of a group, rows and columns of zeros left out. The expected
   * relative error (in the Euclidean norm) is 0.289 times this, whatever the values.
   */
  readonly step: number
  /** Largest rank of what is taken out of a matrix, from 0 (nothing) to 32. */
  readonly rank: number
}

const KIND = 1
/**
 * @param values finite, as many as the layout has
 * @param seed 32 bits, new for each update
 * @throws RangeError when a value is not finite or there are too many or too few
 */
export function encodeQuantized(
  values: Float32Array,
  layout: Layout,
  quantization: Quantization,
  seed: number,
): Uint8Array {
  const steps = stepsOf(values, layout, quantization.step)
  const lowRanks = layout.matrices.map((matrix) => lowRankWorthwhile(matrix, values, quantization.rank))
  const integers = new Int32Array(layout.length)
  forEachSlice({ layout, lowRanks, steps, length: layout.length }, ({ at, step, predicted }) => {
    for (let i = 0; i < predicted.length; i++) {
      const left = (values[at + i] as number) - (predicted[i] as number)
      integers[at + i] = step > 0 ? Math.floor(left / step + ditherAt(seed, at + i) + 0.5) : 0
    }
  })
  const isZero = (index: number, { group }: Matrix): boolean => group === EXACT || values[index] === 0
  const magnitudes = Magnitudes.of(layout, integers, isZero)
  const fields = new ByteWriter().uint32(seed)
  fields.float32s(steps).float32s(exactValues(layout, values))
  return writeContainer({ kind: KIND, layout, fields: fields.finish(), lowRanks, magnitudes, integers })
}

/** Bytes that an encoding never exceeds. */
export function quantizedSizeBound(layout: Layout): number {
  return containerSizeBound(layout, fieldsSize(layout))
}

/** Opens an encoding; the reader takes the source over and holds one decoded block, the factors and the tables. */
export async function openQuantized(source: ByteSource, layout: Layout): Promise<UpdateReader> {
  const container = await Container.open(source, layout, { kind: KIND, fieldsSize: fieldsSize(layout) })
  const fields = new ByteReader(container.fields, 'the steps')
  const seed = fields.uint32()
  const steps = Float32Array.from({ length: layout.groups }, () => fields.scale())
  const exact = fields.float32s(layout.exactLength)
  const integers = new Int32Array(BLOCK_LENGTH)
  return blockReader(source, layout.length, BLOCK_LENGTH, async (block, into) => {
    const own = integers.subarray(0, into.length)
    const classes = await container.decode(block, own)
    const start = block * BLOCK_LENGTH
    const { lowRanks } = container
    forEachSlice({ layout, lowRanks, steps, start, length: into.length }, ({ at, step, predicted }) => {
      for (let i = 0; i < predicted.length; i++) {
        const index = at - start + i
        const rest = ((own[index] as number) - ditherAt(seed, at + i)) * step
        into[index] = classes[index] === ZERO_CLASS ? 0 : rest + (predicted[i] as number)
      }
    })
    restoreExact(layout, exact, { start, into })
  })
}

function fieldsSize({ groups, exactLength }: Layout): number {
  return 4 + 4 * groups + 4 * exactLength
}

interface Slices {
  readonly layout: Layout
  readonly lowRanks: readonly (LowRank | undefined)[]
  readonly steps: Float32Array
  readonly start?: number
  readonly length: number
}

interface Slice {
  /** First value. */
  readonly at: number
  readonly step: number
  /** What the low-rank part says of each value; 0 where there is none. */
  readonly predicted: Float64Array
}

const LONGEST_SLICE = 4096

function forEachSlice(slices: Slices, visit: (slice: Slice) => void): void {
  const { layout, lowRanks, steps, start = 0, length } = slices
  const buffer = new Float64Array(LONGEST_SLICE)
  for (const { matrix, index, from, at, count } of partsOf(layout, start, length)) {
    const lowRank = lowRanks[index]
    for (let done = 0; done < count; done += LONGEST_SLICE) {
      const predicted = buffer.subarray(0, Math.min(LONGEST_SLICE, count - done))
      if (lowRank) fillProduct(lowRank, matrix.columns, from + done, predicted)
      else predicted.fill(0)
      visit({ at: start + at + done, step: steps[matrix.group] ?? 0, predicted })
    }
  }
}

function stepsOf(values: Float32Array, layout: Layout, share: number): Float32Array {
  if (values.length !== layout.length) {
    throw new RangeError(`there are ${values.length} values; the layout has ${layout.length}`)
  }
  const squares = new Float64Array(layout.groups)
  const counts = new Float64Array(layout.groups)
  for (const matrix of layout.matrices) {
    const { offset, length, group } = matrix
    let sum = 0
    for (let i = offset; i < offset + length; i++) sum += (values[i] as number) ** 2
    if (!Number.isFinite(sum)) throw notFinite(values, offset)
    if (group === EXACT) continue
    squares[group] = (squares[group] as number) + sum
    counts[group] = (counts[group] as number) + codedCount(matrix, values)
  }
  return Float32Array.from(squares, (sum, group) => {
    const step = Math.fround(share * Math.sqrt(sum / Math.max(1, counts[group] as number)))
    return sum > 0 && step === 0 ? 2 ** -149 : step
  })
}

/** Elements that are in no row or column of zeros: only they take part in the error. */
function codedCount({ offset, rows, columns }: Matrix, values: Float32Array): number {
  const usedRows = new Uint8Array(rows)
  const usedColumns = new Uint8Array(columns)
  for (let row = 0, i = offset; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      if (values[i] === 0) continue
      usedRows[row] = 1
      usedColumns[column] = 1
    }
  }
  const used = (flags: Uint8Array): number => flags.reduce((sum, flag) => sum + flag, 0)
  return used(usedRows) * (rows > 1 ? used(usedColumns) : columns)
}

function notFinite(values: Float32Array, offset: number): RangeError {
  const index = values.findIndex((value, at) => at >= offset && !Number.isFinite(value))
  return new RangeError(`value ${index} is ${values[index]}; every value must be finite`)
}
