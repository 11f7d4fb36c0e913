// The arithmetic that merging spends its time on. Every implementation gives the same bits: each operation below says in
// which order it adds, sums are float64, a product and its addition are rounded separately, and no sum starts at −0.
// kernels.case.ts holds the table that an implementation must pass. All inputs are finite.
import type { ElementwiseProgram } from './elementwise.ts'

/**
 * Values after which `addGram` adds what it has to the matrix. Slices start at multiples of it, so that the result does
 * not depend on their length.
 */
export const GRAM_BLOCK = 1024
/** Partial sums in which a block of `addGram` is added: value i goes to sum i mod 8. */
export const GRAM_LANES = 8

export interface Kernels {
  /**
   * `sums[i] += weights[k] · updates[k][i]`, for k in order. `updates` are at least as long as `sums`.
   */
  accumulate(sums: Float64Array, updates: readonly Float32Array[], weights: Float64Array): void
  /**
   * `gram[k·n + l] += Σ_i updates[k][i] · updates[l][i]` for all k and l below n, the number of updates. The values are
   * taken in blocks of GRAM_BLOCK; a block's products go to GRAM_LANES partial sums in order, which are added as
   * ((s0+s4)+(s2+s6)) + ((s1+s5)+(s3+s7)); the block's sum is then added to the matrix. A product of two float32 values is exact.
   */
  addGram(gram: Float64Array, updates: readonly Float32Array[]): void
  /**
   * `out[i]` = mean of the sorted values `updates[·][i]` from index `lo` to before `hi` (a median, a trimmed mean): added in
   * ascending order from +0, divided by their number, rounded to float32.
   */
  sortedMean(out: Float32Array, updates: readonly Float32Array[], range: SortedRange): void
  /**
   * `out[i]` = mean of the `count` values nearest to the median of `updates[·][i]` (Bulyan's second step). The median of an
   * even number of values is the middle of the two in between. From all sorted values, the farther of the two ends is
   * left out, the upper one when both are as far, until `count` are left; they are added in ascending order from +0.
   */
  meanAroundMedian(out: Float32Array, updates: readonly Float32Array[], count: number): void
  /**
   * `lanes[(position + i) mod 8] += values[i]²` for the float32 values in `bytes` (little-endian, aligned or not; whole values
   * only), i ascending. A vector may come in pieces, cut between any two values: `position` is the index of the piece's first.
   * Values that are not finite make the lane not finite.
   */
  addSquares(lanes: Float64Array, bytes: Uint8Array, position: number): void
  /**
   * Runs a program (elementwise.ts) on all elements of the vectors, which it changes in place. The vectors have the same
   * length and do not overlap; infinities and what is not a number pass through. More threads than one change no bit.
   */
  runElementwise(
    program: ElementwiseProgram,
    scalars: Float32Array,
    vectors: readonly Float32Array[],
    threads: number,
  ): void
  /**
   * `out[i] = base[i] + sums[i] / divisor`, the quotient and the sum rounded to float64, then the sum to float32. `base` and `sums`
   * are at least as long as `out`.
   */
  addMean(out: Float32Array, base: Float32Array, mean: WeightedMean): void
  /**
   * `accumulate` on the float32 values that lie in open files from byte `offset` on, without bringing them into JavaScript.
   * Files are read into `buffer`, as many at a time as have room there; it holds at least as many values as `sums`.
   * Rejects when a file ends early. The arrays and the files are the kernel's until the promise is settled.
   */
  accumulateFiles?(sums: Float64Array, files: WeightedFiles, buffer: Float32Array): Promise<void>
  /**
   * Reads as many values of each file, from byte `offset` on, as fill `rows`: those of the first file, those of the next, and
   * so on. Rejects when a file ends early. The arrays and the files are the kernel's until the promise is settled.
   */
  readFiles?(rows: Float32Array, descriptors: Int32Array, offset: number): Promise<void>
}

/** A mean as its sum and what that is to be divided by. */
export interface WeightedMean {
  readonly sums: Float64Array
  readonly divisor: number
}

/** Open files with float32 values from byte `offset` on, and what each counts. */
export interface WeightedFiles {
  readonly descriptors: Int32Array
  readonly weights: Float64Array
  readonly offset: number
}

/** The sum of eight partial sums, in the order in which every kernel adds them. */
export function sumOfLanes(lanes: Float64Array): number {
  const [s0, s1, s2, s3, s4, s5, s6, s7] = lanes as unknown as EightNumbers
  return s0 + s4 + (s2 + s6) + (s1 + s5 + (s3 + s7))
}

type EightNumbers = readonly [number, number, number, number, number, number, number, number]

/** Positions among sorted values, `lo` inclusive, `hi` exclusive. */
export interface SortedRange {
  readonly lo: number
  readonly hi: number
}

/** The positions whose mean is the median of `n` values. */
export function medianRange(n: number): SortedRange {
  return { lo: Math.floor((n - 1) / 2), hi: Math.floor(n / 2) + 1 }
}
