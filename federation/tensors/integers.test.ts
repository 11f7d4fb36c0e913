import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BitReader, BitWriter } from './bits.ts'
import { ByteReader, ByteWriter } from './cursor.ts'
import { EncodingError } from './errors.ts'
import { decodeBlock, encodeBlock, readTables, TokenCounter, writeTables, ZERO_CLASS } from './integers.ts'
import { largest } from './largest.ts'
import { layoutOf } from './layout.ts'
import { FrequencyTable, RansDecoder, RansEncoder } from './rans.ts'

const integer = fc.oneof(
  fc.integer(),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1),
)
const classed = fc.array(fc.tuple(fc.nat(56), integer), { maxLength: 300 })

describe('integers with classes', () => {
  it('come back, whatever their size and class', () => {
    fc.assert(
      fc.property(classed, (list) => {
        const classes = Uint8Array.from(list, ([level]) => level)
        const values = Int32Array.from(list, ([, value]) => value)
        const counter = new TokenCounter()
        counter.add(classes, values)
        const writer = new ByteWriter()
        writeTables(writer, counter.tables())
        const tables = readTables(new ByteReader(writer.finish(), 'tables'))
        const got = new Int32Array(values.length)
        decodeBlock(tables, encodeBlock(tables, classes, values), classes, got)
        expect(got).toEqual(values)
      }),
      { numRuns: 300, seed: 1 },
    )
  })

  it('take no bits where they are known to be 0', () => {
    const classes = new Uint8Array(10_000).fill(ZERO_CLASS)
    const values = new Int32Array(10_000)
    const encoded = encodeBlock(new TokenCounter().tables(), classes, values)
    expect(encoded.length).toBe(5)
    const got = new Int32Array(10_000).fill(1)
    decodeBlock(new TokenCounter().tables(), encoded, classes, got)
    expect(got).toEqual(values)
  })

  it('take about the entropy of their distribution', () => {
    // Geometric with p = 1/2 in magnitude and a random sign: 2 bits of magnitude and 1/2 of a sign, 2.5 in all.
    const values = Int32Array.from({ length: 16_384 }, (_, i) => {
      const hash = Math.imul(i + 1, 0x9e37_79b1) ^ (Math.imul(i + 1, 0x85eb_ca6b) >>> 13)
      const size = Math.clz32(Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d))
      return (i & 1) === 0 ? size : -size
    })
    const classes = new Uint8Array(values.length).fill(8)
    const counter = new TokenCounter()
    counter.add(classes, values)
    const bits = (encodeBlock(counter.tables(), classes, values).length * 8) / values.length
    expect(bits).toBeGreaterThan(2.4)
    expect(bits).toBeLessThan(2.6)
  })

  it.each([
    { name: 'a table with too many tokens', bytes: [81] },
    { name: 'a frequency above 4096', bytes: [1, 0x81, 0x20] },
    { name: 'frequencies that do not sum to 4096', bytes: [1, 5] },
    { name: 'tables that end early', bytes: [1, 0x80, 0x20, 0] },
    { name: 'a number of more than 32 bits', bytes: [0xff, 0xff, 0xff, 0xff, 0xff, 1] },
  ])('are refused with $name', ({ bytes }) => {
    expect(() => readTables(new ByteReader(Uint8Array.from(bytes), 'tables'))).toThrow(EncodingError)
  })
})

describe('range coding', () => {
  const table = FrequencyTable.fromCounts(Uint32Array.of(1000, 0, 1, 50))
  const tokens = Array.from({ length: 500 }, (_, i) => (i % 20 === 0 ? 3 : i === 77 ? 2 : 0))
  const encoder = new RansEncoder(tokens.length)
  for (const token of tokens.toReversed()) encoder.put(table, token)
  const bytes = encoder.finish()

  it('gives the tokens in order and knows where they end', () => {
    const decoder = new RansDecoder(bytes)
    expect(tokens.map(() => decoder.take(table))).toEqual(tokens)
    decoder.end()
  })

  it('keeps every token that occurs, and sums to 4096', () => {
    expect(table.frequencies.reduce((a, b) => a + b, 0)).toBe(4096)
    expect(table.frequencies[1]).toBe(0)
    expect(table.frequencies[2]).toBeGreaterThan(0)
    const many = FrequencyTable.fromCounts(Uint32Array.from({ length: 80 }, (_, i) => (i === 0 ? 1e9 : 1)))
    expect(many.frequencies.reduce((a, b) => a + b, 0)).toBe(4096)
    expect(Math.min(...many.frequencies)).toBe(1)
  })

  it('refuses any single changed bit', () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice()
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      const decode = (): void => {
        const decoder = new RansDecoder(damaged)
        for (const _ of tokens) decoder.take(table)
        decoder.end()
      }
      expect(decode, String(bit)).toThrow(EncodingError)
    }
  })

  it('ends on a table without tokens', () => {
    const decoder = new RansDecoder(bytes)
    for (let i = 0; i < 1000; i++) decoder.take(FrequencyTable.fromCounts(new Uint32Array(4)))
    expect(() => decoder.end()).toThrow(EncodingError)
  })
})

describe('bit fields', () => {
  it('come back, of any length', () => {
    const field = fc
      .integer({ min: 0, max: 32 })
      .chain((length) => fc.tuple(fc.constant(length), fc.integer({ min: 0, max: 2 ** length - 1 })))
    fc.assert(
      fc.property(fc.array(field, { maxLength: 60 }), (fields) => {
        const writer = new BitWriter(fields.length * 4)
        for (const [length, value] of fields) writer.put(value, length)
        const reader = new BitReader(writer.finish())
        expect(fields.map(([length]) => reader.take(length))).toEqual(fields.map(([, value]) => value))
        reader.end()
      }),
      { numRuns: 300, seed: 1 },
    )
  })

  it.each([
    { name: 'one too few', bytes: [], said: 'not as many' },
    { name: 'one too many', bytes: [1, 0], said: 'not as many' },
    { name: 'bits that nobody wrote', bytes: [3], said: 'not as many' },
  ])('are refused with $name', ({ bytes, said }) => {
    const reader = new BitReader(Uint8Array.from(bytes))
    reader.take(1)
    expect(() => reader.end()).toThrow(said)
  })
})

describe('the largest values', () => {
  const two = layoutOf([
    { shape: [6], group: 0 },
    { shape: [2], group: -1 },
    { shape: [3], group: 1 },
  ])

  it.each([
    {
      name: 'of equal ones the first',
      values: [1, -1, 1, 0, 1, 1, 9, 9, 2, -2, 2],
      fraction: 0.5,
      want: [0, 1, 2, 8, 9],
    },
    {
      name: 'at least one of a group',
      values: [0, 1, 2, -3, 1, 1, 9, 9, 0, 0, 1],
      fraction: 0.01,
      want: [3, 10],
    },
    { name: 'never a zero', values: [0, 0, 0, 0, 0, 0, 9, 9, 0, -5, 0], fraction: 1, want: [9] },
  ])('are $name', ({ values, fraction, want }) => {
    expect([...largest(Float32Array.from(values), two, fraction)]).toEqual(want)
  })

  it('are those that sorting finds', () => {
    const lists = fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 100 }), (list, percent) => {
        const values = Float32Array.from(list)
        const one = layoutOf([{ shape: [list.length], group: 0 }])
        const count = Math.ceil((list.length * percent) / 100)
        const sorted = [...values.keys()].sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!) || a - b)
        const want = sorted.slice(0, count).filter((index) => values[index] !== 0)
        expect([...largest(values, one, percent / 100)]).toEqual(want.toSorted((a, b) => a - b))
      }),
      { numRuns: 300, seed: 4 },
    )
  })
})
