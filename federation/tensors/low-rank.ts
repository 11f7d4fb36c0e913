// A matrix as the product of two thin ones, found by subspace iteration (as PowerSGD does: Vogels, Karimireddy, Jaggi 2019).
// A node's update is a sum of few outer products, so a small rank holds most of it, and what is left is cheaper to code.
// Factors are rounded, with a scale for each column; the product is computed in float64 in a fixed order, so
// sender and receiver have the same bits.
import type { Matrix } from './layout.ts'

/** Columns of the factors are rounded to this many steps a standard deviation. */
export const STEPS_A_DEVIATION = 128
const PASSES = 2

/** A thin matrix of `length` × `rank`, rounded as it travels: `values[i]` = `integers[i]` · the scale of its column. */
interface Factor {
  readonly scales: Float32Array
  readonly integers: Int32Array
  readonly values: Float32Array
}

/** rows × columns ≈ left (rows × rank) · right (columns × rank)ᵀ. */
export interface LowRank {
  readonly rank: number
  readonly left: Factor
  readonly right: Factor
}

/** The best approximation of the matrix that a few passes find, its factors already rounded as they will travel. */
export function approximate(matrix: Matrix, values: Float32Array, rank: number): LowRank {
  const { rows, columns } = matrix
  const elements = values.subarray(matrix.offset, matrix.offset + matrix.length)
  let right = startingVectors(columns, rank)
  let left = new Float64Array(rows * rank)
  for (let pass = 0; pass < PASSES; pass++) {
    if (pass > 0) orthonormalize(right, rank)
    left = times(elements, right, { rows, columns, rank })
    orthonormalize(left, rank)
    right = timesTransposed(elements, left, { rows, columns, rank })
  }
  return { rank, left: rounded(left, rank), right: rounded(right, rank) }
}

/** The approximation whose rounded factors arrived: first the left's integers, then the right's. */
export function lowRankOf(scales: Float32Array, integers: Int32Array, { rows }: Matrix): LowRank {
  const rank = scales.length / 2
  const factor = (ownScales: Float32Array, own: Int32Array): Factor => ({
    scales: ownScales,
    integers: own,
    values: dequantized(own, ownScales),
  })
  return {
    rank,
    left: factor(scales.subarray(0, rank), integers.subarray(0, rows * rank)),
    right: factor(scales.subarray(rank), integers.subarray(rows * rank)),
  }
}

/** Writes elements [from, from + into.length) of the product. */
export function fillProduct(product: LowRank, columns: number, from: number, into: Float64Array): void {
  const { rank } = product
  const left = product.left.values
  const right = product.right.values
  let row = Math.floor(from / columns)
  let column = from - row * columns
  for (let i = 0; i < into.length; i++) {
    let sum = 0
    const l = row * rank
    const r = column * rank
    for (let k = 0; k < rank; k++) sum += (left[l + k] as number) * (right[r + k] as number)
    into[i] = sum
    if (++column === columns) {
      column = 0
      row++
    }
  }
}

interface Sizes {
  readonly rows: number
  readonly columns: number
  readonly rank: number
}

function times(
  elements: Float32Array,
  right: Float64Array,
  { rows, columns, rank }: Sizes,
): Float64Array<ArrayBuffer> {
  const left = new Float64Array(rows * rank)
  const sums = new Float64Array(rank)
  for (let row = 0, i = 0; row < rows; row++) {
    sums.fill(0)
    for (let column = 0, r = 0; column < columns; column++, i++) {
      const element = elements[i] as number
      for (let k = 0; k < rank; k++, r++) sums[k] = (sums[k] as number) + element * (right[r] as number)
    }
    left.set(sums, row * rank)
  }
  return left
}

function timesTransposed(
  elements: Float32Array,
  left: Float64Array,
  { rows, columns, rank }: Sizes,
): Float64Array<ArrayBuffer> {
  const right = new Float64Array(columns * rank)
  for (let row = 0, i = 0; row < rows; row++) {
    const own = left.subarray(row * rank, (row + 1) * rank)
    for (let column = 0, r = 0; column < columns; column++, i++) {
      const element = elements[i] as number
      for (let k = 0; k < rank; k++, r++) right[r] = (right[r] as number) + element * (own[k] as number)
    }
  }
  return right
}

/** Gram-Schmidt on the columns; one that depends on the others becomes 0. */
function orthonormalize(vectors: Float64Array, rank: number): void {
  for (let k = 0; k < rank; k++) {
    const before = dot(vectors, rank, k, k)
    for (let other = 0; other < k; other++) {
      const share = dot(vectors, rank, k, other)
      for (let i = 0; i < vectors.length; i += rank) {
        vectors[i + k] = (vectors[i + k] as number) - share * (vectors[i + other] as number)
      }
    }
    const after = dot(vectors, rank, k, k)
    const factor = after > before * 1e-20 ? 1 / Math.sqrt(after) : 0
    for (let i = k; i < vectors.length; i += rank) vectors[i] = (vectors[i] as number) * factor
  }
}

function dot(vectors: Float64Array, rank: number, a: number, b: number): number {
  let sum = 0
  for (let i = 0; i < vectors.length; i += rank)
    sum += (vectors[i + a] as number) * (vectors[i + b] as number)
  return sum
}

/** Any vectors that no weight matrix is likely to be orthogonal to; always the same, so that encoding is repeatable. */
function startingVectors(length: number, rank: number): Float64Array<ArrayBuffer> {
  let state = 1
  return Float64Array.from({ length: length * rank }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return state / 2 ** 31
  })
}

function rounded(factor: Float64Array, rank: number): Factor {
  const squares = new Float64Array(rank)
  for (let i = 0; i < factor.length; i++) {
    squares[i % rank] = (squares[i % rank] as number) + (factor[i] as number) ** 2
  }
  const scales = Float32Array.from(
    squares,
    (sum) => Math.sqrt((sum * rank) / factor.length) / STEPS_A_DEVIATION,
  )
  const integers = Int32Array.from(factor, (value, i) => {
    const scale = scales[i % rank] as number
    return scale > 0 ? Math.round(value / scale) : 0
  })
  return { scales, integers, values: dequantized(integers, scales) }
}

function dequantized(integers: Int32Array, scales: Float32Array): Float32Array {
  return Float32Array.from(integers, (integer, i) => integer * (scales[i % scales.length] as number))
}
