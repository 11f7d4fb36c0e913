// The file of integers that both quantised updates and lossless deltas are made of: a header (what integers mean, thin factors
// of matrices, expected magnitudes, frequency tables, the length of each block), then a block with the factors, then blocks of
// 16,384 integers that are decoded independently. The same contents give the same bytes.
import { constants, zstdCompressSync } from 'node:zlib'
import { ByteWriter } from './cursor.ts'
import { encodeBlock, type Tables, TokenCounter, UNIT_CLASS, writeTables } from './integers.ts'
import type { Layout, Matrix } from './layout.ts'
import { type LowRank, STEPS_A_DEVIATION } from './low-rank.ts'
import { Magnitudes, magnitudesSize } from './magnitudes.ts'

/** Values that are decoded together. */
export const BLOCK_LENGTH = 16_384
export const MAXIMUM_RANK = 32

export const MAGIC = 0x31425254 // 'TRB1'
export const PREFIX_BYTES = 12
const ZSTD_LEVEL = 9
/**
 * Log2 of the largest zstd window that is read: the 8 MiB that RFC 8878 has every decoder support. A frame says how much memory
 * decoding it takes, whatever its length; what ZSTD_LEVEL writes needs 4 MiB at most.
 */
export const MAXIMUM_WINDOW_LOG = 23
/** Class of the integers in factors: their standard deviation is 128. */
export const FACTOR_CLASS = UNIT_CLASS + 2 * Math.log2(STEPS_A_DEVIATION)
const TABLES_BOUND = 16 * (2 + 80 * 2)
export interface Contents {
  /** What the integers are: told apart by the reader. */
  readonly kind: number
  readonly layout: Layout
  /** Fields of the kind, `fieldsSize` bytes. */
  readonly fields: Uint8Array
  /** For each matrix of the layout. */
  readonly lowRanks: readonly (LowRank | undefined)[]
  readonly magnitudes: Magnitudes
  /** One for each value of the layout. */
  readonly integers: Int32Array
  /** Fills in the octaves of the integer 1 for the values from `start` on; see Magnitudes.classes. */
  readonly units?: Units | undefined
}

export type Units = (start: number, into: Int16Array) => void

export function writeContainer(contents: Contents): Uint8Array {
  const { layout, integers, lowRanks } = contents
  const coder = new Classifier(layout, contents.magnitudes)
  const counter = new TokenCounter()
  const factors = factorIntegers(lowRanks)
  const factorClasses = new Uint8Array(factors.length).fill(FACTOR_CLASS)
  counter.add(factorClasses, factors)
  for (let start = 0; start < layout.length; start += BLOCK_LENGTH) {
    counter.add(coder.classes(start, contents.units), integers.subarray(start, start + BLOCK_LENGTH))
  }
  const tables = counter.tables()
  const blocks = [encodeBlock(tables, factorClasses, factors)]
  for (let start = 0; start < layout.length; start += BLOCK_LENGTH) {
    const classes = coder.classes(start, contents.units)
    blocks.push(encodeBlock(tables, classes, integers.subarray(start, start + BLOCK_LENGTH)))
  }
  const header = headerOf(contents, tables, blocks)
  const prefix = new ByteWriter().uint32(MAGIC).uint32(contents.kind).uint32(header.length)
  return new Uint8Array(Buffer.concat([prefix.finish(), header, ...blocks]))
}

function headerOf(contents: Contents, tables: Tables, blocks: readonly Uint8Array[]): Uint8Array {
  const header = new ByteWriter().bytes(contents.fields)
  for (const lowRank of contents.lowRanks) {
    header.uint8(lowRank?.rank ?? 0)
    for (const factor of lowRank ? [lowRank.left, lowRank.right] : []) {
      for (const scale of factor.scales) header.float32(scale)
    }
  }
  contents.magnitudes.write(header)
  writeTables(header, tables)
  for (const block of blocks) header.varint(block.length)
  return zstdCompressSync(header.finish(), {
    params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
  })
}

function factorIntegers(lowRanks: Contents['lowRanks']): Int32Array {
  const factors = lowRanks.flatMap((lowRank) =>
    lowRank ? [lowRank.left.integers, lowRank.right.integers] : [],
  )
  const all = new Int32Array(factors.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const factor of factors) {
    all.set(factor, at)
    at += factor.length
  }
  return all
}

/** Bytes that no container of the layout exceeds: what a receiver may refuse unread. */
export function containerSizeBound(layout: Layout, fieldsSize: number): number {
  const factors = layout.matrices.reduce((sum, { rows, columns }) => sum + rows + columns, 0) * MAXIMUM_RANK
  const integers = layout.length + factors
  const header = headerBound(layout, fieldsSize)
  return PREFIX_BYTES + header + 64 + (header >> 7) + integers * 8 + 16 * (2 + blocksOf(layout))
}

export function headerBound(layout: Layout, fieldsSize: number): number {
  const ranks = layout.matrices.length * (1 + 2 * 4 * MAXIMUM_RANK)
  return fieldsSize + ranks + magnitudesSize(layout) + TABLES_BOUND + 5 * (1 + blocksOf(layout))
}

export function blocksOf(layout: Layout): number {
  return Math.ceil(layout.length / BLOCK_LENGTH)
}

/** Says of the integers of a block what classes they have. */
export class Classifier {
  readonly #layout: Layout
  readonly #magnitudes: Magnitudes
  readonly #classes = new Uint8Array(BLOCK_LENGTH)
  readonly #units = new Int16Array(BLOCK_LENGTH)

  constructor(layout: Layout, magnitudes: Magnitudes) {
    this.#layout = layout
    this.#magnitudes = magnitudes
  }

  /** Valid until the next call. */
  classes(start: number, units?: Units): Uint8Array {
    const length = Math.min(BLOCK_LENGTH, this.#layout.length - start)
    units?.(start, this.#units.subarray(0, length))
    for (const part of partsOf(this.#layout, start, length)) {
      const { matrix, index, from, at, count } = part
      const unit = units && this.#units.subarray(at, at + count)
      this.#magnitudes.classes(matrix, index, { from, into: this.#classes.subarray(at, at + count) }, unit)
    }
    return this.#classes.subarray(0, length)
  }
}

export interface Part {
  readonly matrix: Matrix
  /** Number of the matrix in the layout. */
  readonly index: number
  /** First element of the matrix. */
  readonly from: number
  /** Where it is in the range. */
  readonly at: number
  readonly count: number
}

/** The pieces of matrices that make up the values [start, start + length). */
export function* partsOf(layout: Layout, start: number, length: number): Generator<Part> {
  for (const [index, matrix] of layout.matrices.entries()) {
    const first = Math.max(start, matrix.offset)
    const end = Math.min(start + length, matrix.offset + matrix.length)
    if (first < end) {
      yield { matrix, index, from: first - matrix.offset, at: first - start, count: end - first }
    }
  }
}
