// Reading the file of integers that container.ts writes. The layout comes from the reader's own side, so every length in
// the header is checked against what it must be, and memory is bounded by the layout whatever the bytes say.
import { constants, zstdDecompressSync } from 'node:zlib'
import {
  BLOCK_LENGTH,
  blocksOf,
  Classifier,
  containerSizeBound,
  FACTOR_CLASS,
  headerBound,
  MAGIC,
  MAXIMUM_RANK,
  MAXIMUM_WINDOW_LOG,
  PREFIX_BYTES,
  type Units,
} from './container.ts'
import { ByteReader } from './cursor.ts'
import { EncodingError } from './errors.ts'
import { decodeBlock, readTables, type Tables } from './integers.ts'
import type { Layout, Matrix } from './layout.ts'
import { type LowRank, lowRankOf } from './low-rank.ts'
import { Magnitudes } from './magnitudes.ts'
import type { ByteSource } from './source.ts'

/** No block is longer than raw 32-bit integers with a token each; see encodeBlock. */
const BLOCK_BOUND = 5 + 4 + BLOCK_LENGTH * 8

/** An opened container: its header is checked, its blocks are decoded on demand. */
export class Container {
  readonly layout: Layout
  /** The kind's own fields. */
  readonly fields: Uint8Array
  readonly lowRanks: readonly (LowRank | undefined)[]
  readonly #source: ByteSource
  readonly #classifier: Classifier
  readonly #tables: Tables
  /** Where each block begins, and where the last one ends. */
  readonly #offsets: Float64Array

  private constructor(source: ByteSource, layout: Layout, header: Header) {
    this.layout = layout
    this.fields = header.fields
    this.lowRanks = header.lowRanks
    this.#source = source
    this.#classifier = new Classifier(layout, header.magnitudes)
    this.#tables = header.tables
    this.#offsets = header.offsets
  }

  /** Reads and checks everything but the blocks. Does not close the source. */
  static async open(source: ByteSource, layout: Layout, expected: Expected): Promise<Container> {
    const bound = containerSizeBound(layout, expected.fieldsSize)
    if (source.size > bound) {
      throw new EncodingError(
        `the encoding has ${source.size} bytes; ${layout.length} values take at most ${bound}`,
      )
    }
    const stored = await readPrefix(source, expected.kind)
    const bytes = new Uint8Array(stored)
    await source.read(PREFIX_BYTES, bytes)
    const limit = headerBound(layout, expected.fieldsSize)
    const reader = new ByteReader(decompress(bytes, limit), 'the header')
    const fields = reader.bytes(expected.fieldsSize).slice()
    const scales = layout.matrices.map((matrix) => readScales(reader, matrix))
    const magnitudes = Magnitudes.read(reader, layout)
    const tables = readTables(reader)
    const offsets = readOffsets(reader, PREFIX_BYTES + stored, blocksOf(layout))
    reader.end()
    const end = offsets.at(-1) as number
    if (end !== source.size) throw new EncodingError(`the blocks end at byte ${end} of ${source.size}`)
    const lowRanks = await readFactors(source, layout, { scales, tables, offsets })
    return new Container(source, layout, { fields, lowRanks, magnitudes, tables, offsets })
  }

  /**
   * Decodes block number `block` (values from `block` · 16,384 on) into `into`, which has the block's length.
   * @returns the integers' classes, valid until the next call; one call at a time
   */
  async decode(block: number, into: Int32Array, units?: Units): Promise<Uint8Array> {
    const classes = this.#classifier.classes(block * BLOCK_LENGTH, units)
    await decodeAt(
      this.#source,
      { offsets: this.#offsets, index: block + 1, tables: this.#tables },
      classes,
      into,
    )
    return classes
  }
}

export interface Expected {
  readonly kind: number
  readonly fieldsSize: number
}

interface Header {
  readonly fields: Uint8Array
  readonly lowRanks: readonly (LowRank | undefined)[]
  readonly magnitudes: Magnitudes
  readonly tables: Tables
  readonly offsets: Float64Array
}

async function readPrefix(source: ByteSource, kind: number): Promise<number> {
  if (source.size < PREFIX_BYTES) {
    throw new EncodingError(
      `the encoding has ${source.size} bytes; its beginning alone takes ${PREFIX_BYTES}`,
    )
  }
  const bytes = new Uint8Array(PREFIX_BYTES)
  await source.read(0, bytes)
  const prefix = new ByteReader(bytes, 'the prefix')
  if (prefix.uint32() !== MAGIC) throw new EncodingError('the encoding does not begin with TRB1')
  const found = prefix.uint32()
  if (found !== kind) throw new EncodingError(`the encoding is of kind ${found}; ${kind} is expected`)
  const stored = prefix.uint32()
  if (PREFIX_BYTES + stored > source.size) {
    throw new EncodingError(`the header takes ${stored} bytes; the encoding has ${source.size}`)
  }
  return stored
}

function decompress(bytes: Uint8Array, limit: number): Uint8Array {
  try {
    return zstdDecompressSync(bytes, {
      maxOutputLength: limit,
      params: { [constants.ZSTD_d_windowLogMax]: MAXIMUM_WINDOW_LOG },
    })
  } catch (error) {
    throw new EncodingError(
      `the header is not a zstd frame of at most ${limit} bytes with a window of at most ` +
        `${2 ** MAXIMUM_WINDOW_LOG} bytes: ${String(error)}`,
    )
  }
}

function readScales(reader: ByteReader, { rows, columns }: Matrix): Float32Array {
  const rank = reader.uint8()
  if (rank > MAXIMUM_RANK || rank > Math.min(rows, columns)) {
    throw new EncodingError(`a matrix of ${rows} × ${columns} has rank ${rank}; ${MAXIMUM_RANK} is the most`)
  }
  return Float32Array.from({ length: 2 * rank }, () => reader.scale())
}

function readOffsets(reader: ByteReader, first: number, blocks: number): Float64Array {
  const offsets = new Float64Array(blocks + 2)
  offsets[0] = first
  for (let block = 0; block <= blocks; block++) {
    offsets[block + 1] = (offsets[block] as number) + reader.varint()
  }
  return offsets
}

async function readFactors(
  source: ByteSource,
  layout: Layout,
  header: { scales: readonly Float32Array[]; tables: Tables; offsets: Float64Array },
): Promise<(LowRank | undefined)[]> {
  const sizes = layout.matrices.map(
    ({ rows, columns }, index) => ((rows + columns) * (header.scales[index] as Float32Array).length) / 2,
  )
  const integers = new Int32Array(sizes.reduce((sum, size) => sum + size, 0))
  const classes = new Uint8Array(integers.length).fill(FACTOR_CLASS)
  await decodeAt(source, { ...header, index: 0 }, classes, integers)
  let at = 0
  return layout.matrices.map((matrix, index) => {
    const scales = header.scales[index] as Float32Array
    const start = at
    at += sizes[index] as number
    return scales.length === 0 ? undefined : lowRankOf(scales, integers.subarray(start, at), matrix)
  })
}

async function decodeAt(
  source: ByteSource,
  { offsets, index, tables }: { offsets: Float64Array; index: number; tables: Tables },
  classes: Uint8Array,
  into: Int32Array,
): Promise<void> {
  const offset = offsets[index] as number
  const length = (offsets[index + 1] as number) - offset
  const most = Math.max(BLOCK_BOUND, 16 + into.length * 8)
  if (length > most) throw new EncodingError(`block ${index} has ${length} bytes; ${most} are the most`)
  const bytes = new Uint8Array(length)
  await source.read(offset, bytes)
  decodeBlock(tables, bytes, classes, into)
}
