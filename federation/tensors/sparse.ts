// Codecs TopK and SparseTernary: only the values of largest magnitude travel. Of each group, TopK sends a fraction as float16
// (Aji, Heafield 2017); SparseTernary sends their signs and one mean magnitude (Sattler, Wiedemann, Müller, Samek 2019).
// Both are biased and need error feedback. Positions are Rice-coded gaps within blocks of 16,384 values; a block is
// decoded on its own. Running state is exact. The same values give the same bytes.
import type { UpdateReader } from '#federation/aggregation/reader.ts'
import { BitReader, BitWriter } from './bits.ts'
import { ByteReader, ByteWriter } from './cursor.ts'
import { EncodingError } from './errors.ts'
import { EXACT, exactValues, type Layout, restoreExact } from './layout.ts'
import { largest } from './largest.ts'
import { blockReader } from './reader.ts'
import type { ByteSource } from './source.ts'

export interface Sparsity {
  readonly type: 'TopK' | 'SparseTernary'
  /** Share of the values that travel: above 0, at most 1. At least one of each group does. */
  readonly fraction: number
}

const BLOCK_LENGTH = 16_384
const VALUE_BITS = { TopK: 16, SparseTernary: 1 } as const

/**
 * @param values finite, as many as the layout has
 * @throws RangeError when a value is not finite or there are too many or too few
 */
export function encodeSparse(values: Float32Array, layout: Layout, sparsity: Sparsity): Uint8Array {
  if (values.length !== layout.length) {
    throw new RangeError(`there are ${values.length} values; the layout has ${layout.length}`)
  }
  const index = values.findIndex((value) => !Number.isFinite(value))
  if (index >= 0) throw new RangeError(`value ${index} is ${values[index]}; every value must be finite`)
  const kept = largest(values, layout, sparsity.fraction)
  const scales = scalesOf(values, layout, kept, sparsity)
  const groups = groupsOf(layout)
  const blocks: Uint8Array[] = []
  const head = new ByteWriter().float32s(scales).float32s(exactValues(layout, values))
  for (let start = 0, at = 0; start < layout.length; start += BLOCK_LENGTH) {
    const first = at
    while (at < kept.length && (kept[at] as number) < start + BLOCK_LENGTH) at++
    const positions = kept.subarray(first, at)
    const block = encodeBlock({ values, scales, groups, sparsity, start }, positions)
    head.uint32(positions.length).uint32(block.length)
    blocks.push(block)
  }
  return new Uint8Array(Buffer.concat([head.finish(), ...blocks]))
}

/** Bytes that an encoding never exceeds. */
export function sparseSizeBound(layout: Layout, { type, fraction }: Sparsity): number {
  const kept = Math.min(layout.length, Math.ceil(layout.length * fraction) + layout.groups)
  const bits = kept * (VALUE_BITS[type] + riceBits(fraction) + 1) + (layout.length >> riceBits(fraction))
  return headSize(layout) + Math.ceil(bits / 8) + blocksOf(layout)
}

/** The reader takes the source over; it holds the head and one decoded block. */
export async function openSparse(
  source: ByteSource,
  layout: Layout,
  sparsity: Sparsity,
): Promise<UpdateReader> {
  const bound = sparseSizeBound(layout, sparsity)
  if (source.size > bound) {
    throw new EncodingError(`the update has ${source.size} bytes; ${bound} are the most`)
  }
  const { scales, exact, counts, offsets } = await readHead(source, layout)
  const groups = groupsOf(layout)
  return blockReader(source, layout.length, BLOCK_LENGTH, async (block, into) => {
    const offset = offsets[block] as number
    const bytes = new Uint8Array((offsets[block + 1] as number) - offset)
    await source.read(offset, bytes)
    const start = block * BLOCK_LENGTH
    decodeBlock({ values: into, scales, groups, sparsity, start }, counts[block] as number, bytes)
    restoreExact(layout, exact, { start, into })
  })
}

async function readHead(
  source: ByteSource,
  layout: Layout,
): Promise<{ scales: Float32Array; exact: Float32Array; counts: Float64Array; offsets: Float64Array }> {
  const size = headSize(layout)
  if (source.size < size) {
    throw new EncodingError(`the update has ${source.size} bytes; its beginning alone takes ${size}`)
  }
  const bytes = new Uint8Array(size)
  await source.read(0, bytes)
  const head = new ByteReader(bytes, 'the head')
  const scales = Float32Array.from({ length: layout.groups }, () => head.scale())
  const exact = head.float32s(layout.exactLength)
  const counts = new Float64Array(blocksOf(layout))
  const offsets = new Float64Array(blocksOf(layout) + 1).fill(size)
  for (let block = 0; block < counts.length; block++) {
    counts[block] = head.uint32()
    offsets[block + 1] = (offsets[block] as number) + head.uint32()
  }
  const end = offsets.at(-1) as number
  if (end !== source.size) throw new EncodingError(`the blocks end at byte ${end} of ${source.size}`)
  return { scales, exact, counts, offsets }
}

interface Block {
  /** All values when encoding; those of the block when decoding. */
  readonly values: Float32Array
  readonly scales: Float32Array
  readonly groups: (index: number) => number
  readonly sparsity: Sparsity
  readonly start: number
}

function encodeBlock({ values, scales, groups, sparsity, start }: Block, positions: Uint32Array): Uint8Array {
  const rice = riceBits(sparsity.fraction)
  const bits = new BitWriter(positions.length * 8 + BLOCK_LENGTH)
  let next = start
  for (const position of positions) {
    const gap = position - next
    for (let unary = gap >> rice; unary > 0; unary--) bits.put(1, 1)
    bits.put(0, 1)
    bits.put(gap, rice)
    next = position + 1
    const value = values[position] as number
    if (sparsity.type === 'SparseTernary') bits.put(value < 0 ? 1 : 0, 1)
    else bits.put(toHalf(value / (scales[groups(position)] as number)), VALUE_BITS.TopK)
  }
  return bits.finish()
}

function decodeBlock(block: Block, count: number, bytes: Uint8Array): void {
  const { values, scales, groups, sparsity, start } = block
  const rice = riceBits(sparsity.fraction)
  const bits = new BitReader(bytes)
  values.fill(0)
  let at = 0
  for (let i = 0; i < count; i++, at++) {
    while (bits.take(1) === 1) at += 2 ** rice
    at += bits.take(rice)
    if (at >= values.length) {
      throw new EncodingError(`value ${i} of a block lies at ${at}; the block has ${values.length}`)
    }
    const scale = scales[groups(start + at)] ?? 0
    const factor =
      sparsity.type === 'SparseTernary' ? 1 - 2 * bits.take(1) : fromHalf(bits.take(VALUE_BITS.TopK))
    values[at] = factor * scale
  }
  bits.end()
}

/** TopK: the power of two that brings the largest value of a group to between 1 and 2. SparseTernary: the mean magnitude. */
function scalesOf(values: Float32Array, layout: Layout, kept: Uint32Array, { type }: Sparsity): Float32Array {
  const groups = groupsOf(layout)
  const sums = new Float64Array(layout.groups)
  const counts = new Float64Array(layout.groups)
  const maxima = new Float64Array(layout.groups)
  for (const position of kept) {
    const group = groups(position)
    const size = Math.abs(values[position] as number)
    sums[group] = (sums[group] as number) + size
    counts[group] = (counts[group] as number) + 1
    maxima[group] = Math.max(maxima[group] as number, size)
  }
  if (type === 'SparseTernary')
    return Float32Array.from(sums, (sum, group) => sum / Math.max(1, counts[group] as number))
  return Float32Array.from(maxima, (size) =>
    size > 0 ? 2 ** Math.max(-149, Math.floor(Math.log2(size))) : 1,
  )
}

/** Low bits of a gap that are stored as they are: the gaps are geometric with mean 1 / fraction. */
function riceBits(fraction: number): number {
  return Math.min(14, Math.max(0, Math.floor(Math.log2(Math.LN2 / fraction))))
}

function headSize(layout: Layout): number {
  return 4 * layout.groups + 4 * layout.exactLength + 8 * blocksOf(layout)
}

function blocksOf({ length }: Layout): number {
  return Math.ceil(length / BLOCK_LENGTH)
}

/** The group of a value; quick when positions come in ascending order. */
function groupsOf({ matrices }: Layout): (index: number) => number {
  let current = 0
  return (index) => {
    const isWithin = (at: number): boolean => {
      const matrix = matrices[at]
      return matrix !== undefined && index >= matrix.offset && index < matrix.offset + matrix.length
    }
    if (!isWithin(current)) current = matrices.findIndex((_, at) => isWithin(at))
    return matrices[current]?.group ?? EXACT
  }
}

const half = new Float16Array(1)
const halfBits = new Uint16Array(half.buffer)

function toHalf(value: number): number {
  half[0] = value
  return halfBits[0] as number
}

function fromHalf(bits: number): number {
  halfBits[0] = bits
  return half[0] as number
}
