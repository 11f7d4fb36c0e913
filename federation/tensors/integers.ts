// Coding of integers whose size is roughly known beforehand: each has a class, its expected magnitude in half octaves. Few bits
// above that magnitude are entropy-coded with a frequency table of the class; the bits below it are as good as random and
// are stored as they are. Any 32-bit integer can be coded in any class. Blocks are independent of one another.
import { BitReader, BitWriter } from './bits.ts'
import { ByteReader, ByteWriter } from './cursor.ts'
import { EncodingError } from './errors.ts'
import { FrequencyTable, RansDecoder, RansEncoder } from './rans.ts'

/** Classes run from 2^(-4) to 2^24, in half octaves; class 8 expects magnitude 1. */
export const UNIT_CLASS = 8
const CLASSES = 57
/** The integer is 0 and takes no bits. */
export const ZERO_CLASS = 255

/** From this class on (magnitude 8), tables repeat each octave and low bits are stored. */
const FIRST_SHIFTED_CLASS = 14
const TABLES = FIRST_SHIFTED_CLASS + 2
/** Tokens below stand for themselves; token DIRECT + n for the numbers DIRECT - 1 + [2^n, 2^(n+1)). */
const DIRECT = 48
const TOKENS = DIRECT + 32

export function clampClass(value: number): number {
  return value < 0 ? 0 : value >= CLASSES ? CLASSES - 1 : value
}

const tableOf = Uint8Array.from({ length: CLASSES }, (_, index) =>
  index < FIRST_SHIFTED_CLASS ? index : FIRST_SHIFTED_CLASS + (index & 1),
)
const shiftOf = Uint8Array.from({ length: CLASSES }, (_, index) =>
  index < FIRST_SHIFTED_CLASS ? 0 : (index - FIRST_SHIFTED_CLASS + 2) >> 1,
)

export type Tables = readonly FrequencyTable[]

/** Counts tokens of all blocks; the tables that follow fit them best. */
export class TokenCounter {
  readonly #counts = Array.from({ length: TABLES }, () => new Uint32Array(TOKENS))

  add(classes: Uint8Array, values: Int32Array): void {
    for (let i = 0; i < values.length; i++) {
      const level = classes[i] as number
      if (level === ZERO_CLASS) continue
      const counts = this.#counts[tableOf[level] as number] as Uint32Array
      const token = tokenOf(zigzag(values[i] as number) >>> (shiftOf[level] as number))
      counts[token] = (counts[token] as number) + 1
    }
  }

  tables(): Tables {
    return this.#counts.map((counts) => FrequencyTable.fromCounts(counts))
  }
}

export function encodeBlock(tables: Tables, classes: Uint8Array, values: Int32Array): Uint8Array {
  const tokens = new RansEncoder(values.length)
  const bits = new BitWriter(values.length * 8)
  for (let i = 0; i < values.length; i++) {
    const level = classes[i] as number
    if (level !== ZERO_CLASS) putLowBits(bits, zigzag(values[i] as number), shiftOf[level] as number)
  }
  for (let i = values.length - 1; i >= 0; i--) {
    const level = classes[i] as number
    if (level === ZERO_CLASS) continue
    const high = zigzag(values[i] as number) >>> (shiftOf[level] as number)
    tokens.put(tables[tableOf[level] as number] as FrequencyTable, tokenOf(high))
  }
  const coded = tokens.finish()
  return new ByteWriter().varint(coded.length).bytes(coded).bytes(bits.finish()).finish()
}

/** @throws EncodingError when the bytes are not exactly an encoding of as many integers of these classes */
export function decodeBlock(tables: Tables, bytes: Uint8Array, classes: Uint8Array, into: Int32Array): void {
  const reader = new ByteReader(bytes, 'a block')
  const tokens = new RansDecoder(reader.bytes(reader.varint()))
  const bits = new BitReader(reader.rest())
  for (let i = 0; i < into.length; i++) {
    const level = classes[i] as number
    if (level === ZERO_CLASS) {
      into[i] = 0
      continue
    }
    const shift = shiftOf[level] as number
    let high = tokens.take(tables[tableOf[level] as number] as FrequencyTable)
    if (high >= DIRECT) high = escaped(high - DIRECT, bits)
    const value = shift === 0 ? high : (high << shift) | bits.take(shift)
    into[i] = (value >>> 1) ^ -(value & 1)
  }
  tokens.end()
  bits.end()
}

export function writeTables(writer: ByteWriter, tables: Tables): void {
  for (const table of tables) {
    const { frequencies } = table
    const used = frequencies.findLastIndex((frequency) => frequency > 0) + 1
    writer.varint(used)
    for (let token = 0; token < used; token++) writer.varint(frequencies[token] as number)
  }
}

export function readTables(reader: ByteReader): Tables {
  return Array.from({ length: TABLES }, () => {
    const used = reader.varint()
    if (used > TOKENS) throw new EncodingError(`a table has ${used} frequencies; there are ${TOKENS} tokens`)
    const frequencies = new Uint16Array(TOKENS)
    for (let token = 0; token < used; token++) {
      const frequency = reader.varint()
      if (frequency > 4096) throw new EncodingError(`a frequency is ${frequency}; 4096 is the most`)
      frequencies[token] = frequency
    }
    return new FrequencyTable(frequencies)
  })
}

function putLowBits(bits: BitWriter, value: number, shift: number): void {
  const high = value >>> shift
  if (high >= DIRECT) {
    const above = high - DIRECT + 1
    bits.put(above, 31 - Math.clz32(above))
  }
  if (shift > 0) bits.put(value, shift)
}

function escaped(length: number, bits: BitReader): number {
  return (bits.take(length) + 2 ** length + DIRECT - 1) >>> 0
}

function tokenOf(high: number): number {
  return high < DIRECT ? high : DIRECT + 31 - Math.clz32(high - DIRECT + 1)
}

/** 0, -1, 1, -2, … become 0, 1, 2, 3, … */
function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0
}
