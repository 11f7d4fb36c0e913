import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeUpdate, encodeWithFeedback, openUpdate, updateSizeBound } from './codec.ts'
import type { UploadCodec } from './configuration.ts'
import { EncodingError } from './errors.ts'
import { EXACT, layoutOf } from './layout.ts'
import { decodeAll } from './reader.ts'
import { bytesSource } from './source.ts'
import { anUpdate, layout, relativeError } from './testing/updates.ts'

const codecs: UploadCodec[] = [
  { type: 'Float32' },
  { type: 'Float16' },
  { type: 'Int8', rank: 0 },
  { type: 'Int8', rank: 16 },
  { type: 'Int4', rank: 16 },
  { type: 'TopK', fraction: 0.01 },
  { type: 'TopK', fraction: 0.5 },
  { type: 'SparseTernary', fraction: 0.01 },
]
const named = codecs.map((codec) => ({ name: JSON.stringify(codec), codec }))
const values = anUpdate(1)

async function decode(bytes: Uint8Array, codec: UploadCodec, of = layout): Promise<Float32Array> {
  return decodeAll(await openUpdate(bytesSource(bytes), of, codec))
}

describe.each(named)('$name', ({ codec }) => {
  const bytes = encodeUpdate(values, layout, codec, 3)

  it('gives the same bytes for the same seed', () => {
    expect(Buffer.from(encodeUpdate(values, layout, codec, 3)).equals(bytes)).toBe(true)
  })

  it('stays below its bound', () => {
    expect(bytes.length).toBeLessThanOrEqual(updateSizeBound(layout, codec))
  })

  it('keeps running state as it is', async () => {
    const got = await decode(bytes, codec)
    for (const { group, offset, length } of layout.matrices) {
      if (group !== EXACT) continue
      expect(got.subarray(offset, offset + length)).toEqual(values.subarray(offset, offset + length))
    }
  })

  it('is the same in slices of any start and length', async () => {
    const whole = await decode(bytes, codec)
    const reader = await openUpdate(bytesSource(bytes), layout, codec)
    const slices = fc.tuple(fc.nat(layout.length), fc.nat(40_000))
    await fc.assert(
      fc.asyncProperty(slices, async ([start, length]) => {
        const into = new Float32Array(Math.min(length, layout.length - start))
        await reader.read(start, into)
        expect(Buffer.compare(bytesOf(into), bytesOf(whole.subarray(start, start + into.length)))).toBe(0)
      }),
      { numRuns: 60, seed: 1 },
    )
    await expect(reader.read(layout.length, new Float32Array(1))).rejects.toThrow(RangeError)
  })

  it('refuses the beginning of an update', async () => {
    const lengths = [0, 1, 11, 12, 13, 100, bytes.length >> 1, bytes.length - 1]
    for (const length of lengths) {
      await expect(decode(bytes.slice(0, length), codec), String(length)).rejects.toThrow(EncodingError)
    }
  })

  it('refuses bytes behind an update', async () => {
    const longer = new Uint8Array(bytes.length + 1)
    longer.set(bytes)
    await expect(decode(longer, codec)).rejects.toThrow(EncodingError)
  })

  it('refuses damage with an EncodingError, or hands out finite numbers', async () => {
    const flips = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(254)), {
      minLength: 1,
      maxLength: 4,
    })
    let refused = 0
    await fc.assert(
      fc.asyncProperty(flips, fc.boolean(), async (list, early) => {
        const damaged = bytes.slice()
        for (const [where, mask] of list) {
          const at = Math.floor(where * (early ? Math.min(64, damaged.length - 1) : damaged.length - 1))
          damaged[at] = (damaged[at] ?? 0) ^ (mask + 1)
        }
        try {
          const got = await decode(damaged, codec)
          if (codec.type !== 'Float32') expect(got.every((value) => Number.isFinite(value))).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(EncodingError)
          refused++
        }
      }),
      { numRuns: 150, seed: 5 },
    )
    if (codec.type.startsWith('Int')) expect(refused).toBeGreaterThan(100)
  })

  it('refuses arbitrary bytes', async () => {
    if (codec.type === 'Float32') return
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (garbage) => {
        await expect(decode(garbage, codec)).rejects.toThrow(EncodingError)
      }),
      { numRuns: 200, seed: 2 },
    )
  })

  it.each([NaN, Infinity, -Infinity])('refuses to encode %s', (bad) => {
    if (codec.type === 'Float32') return
    const spoilt = values.slice()
    spoilt[40_000] = bad
    expect(() => encodeUpdate(spoilt, layout, codec, 1)).toThrow('value 40000 is')
  })

  it('takes an update of zeros and gives zeros', async () => {
    const zeros = new Float32Array(layout.length)
    expect(await decode(encodeUpdate(zeros, layout, codec, 1), codec)).toEqual(zeros)
  })

  it('takes updates of any size of numbers and of one value', async () => {
    const finite = fc.float({ noNaN: true, noDefaultInfinity: true, min: -6e4, max: 6e4 })
    await fc.assert(
      fc.asyncProperty(fc.array(finite, { minLength: 1, maxLength: 50 }), fc.nat(), async (list, seed) => {
        const small = layoutOf([{ shape: [list.length], group: 0 }])
        const encoded = encodeUpdate(Float32Array.from(list), small, codec, seed)
        const got = await decode(encoded, codec, small)
        const largest = Math.max(...list.map(Math.abs))
        expect(got.every((value) => Math.abs(value) <= 1.5 * largest + 2 ** -24)).toBe(true)
        expect(encoded.length).toBeLessThanOrEqual(updateSizeBound(small, codec))
      }),
      { numRuns: 200, seed: 3 },
    )
  })
})

describe('the error of an update', () => {
  it.each([
    { codec: { type: 'Float16' } as const, below: 2 ** -11, above: 1e-6 },
    { codec: { type: 'Int8', rank: 16 } as const, below: 0.0147, above: 0.013 },
    { codec: { type: 'Int8', rank: 0 } as const, below: 0.0147, above: 0.013 },
    { codec: { type: 'Int4', rank: 16 } as const, below: 0.099, above: 0.09 },
  ])('is between $above and $below with $codec.type', async ({ codec, below, above }) => {
    const got = await decode(encodeUpdate(values, layout, codec, 9), codec)
    const error = relativeError(got, values)
    expect(error).toBeLessThan(below)
    expect(error).toBeGreaterThan(above)
  })

  it('is half a step for the worst value of Int8', async () => {
    for (const seed of [1, 2, 3]) {
      const update = anUpdate(seed)
      const codec = { type: 'Int8', rank: 16 } as const
      const got = await decode(encodeUpdate(update, layout, codec, seed), codec)
      const trained = layout.matrices.filter(({ group }) => group === 0)
      const own = trained.flatMap(({ offset, length }) => [...update.subarray(offset, offset + length)])
      const nonZero = own.filter((value) => value !== 0)
      const step = 0.0505 * Math.sqrt(nonZero.reduce((sum, value) => sum + value ** 2, 0) / nonZero.length)
      let worst = 0
      for (const { offset, length } of trained) {
        for (let i = offset; i < offset + length; i++) {
          worst = Math.max(worst, Math.abs((got[i] ?? NaN) - (update[i] ?? NaN)))
        }
      }
      expect(worst).toBeLessThan(0.5001 * step)
      expect(worst).toBeGreaterThan(0.4 * step)
    }
  })

  it('leaves exactly the largest values of TopK, to 2^-11', async () => {
    const codec = { type: 'TopK', fraction: 0.01 } as const
    const one = layoutOf([{ shape: [1000], group: 0 }])
    const update = anUpdate(4, one)
    const got = await decode(encodeUpdate(update, one, codec, 0), codec, one)
    const want = [...update.keys()].sort((a, b) => Math.abs(update[b]!) - Math.abs(update[a]!)).slice(0, 10)
    const kept = [...got.keys()].filter((index) => got[index] !== 0)
    expect(kept).toEqual(want.toSorted((a, b) => a - b))
    for (const index of kept) {
      expect(Math.abs(got[index]! / update[index]! - 1)).toBeLessThanOrEqual(2 ** -11)
    }
  })

  it('leaves signs and the mean magnitude with SparseTernary', async () => {
    const codec = { type: 'SparseTernary', fraction: 0.4 } as const
    const one = layoutOf([{ shape: [5], group: 0 }])
    const got = await decode(encodeUpdate(Float32Array.of(-3, 0.1, 1, -0.2, 0.9), one, codec, 0), codec, one)
    expect(got).toEqual(Float32Array.of(-2, 0, 2, 0, 0))
  })
})

describe('rounding of Int8 and Int4', () => {
  it.each(['Int8', 'Int4'] as const)('is unbiased with %s', async (type) => {
    // The error of a value is uniform over one step, so the mean over n seeds has deviation step / sqrt(12 n). Of 9,000 values
    // the largest deviation is below 6 with probability 1 - 2e-5; seeds are fixed, so the outcome is too.
    const codec = { type, rank: 4 } as const
    const one = layoutOf([{ shape: [90, 100], group: 0 }])
    const update = anUpdate(2, one)
    const seeds = 200
    const sums = new Float64Array(one.length)
    for (let seed = 0; seed < seeds; seed++) {
      const got = await decode(encodeUpdate(update, one, codec, Math.imul(seed, 0x85ebca6b)), codec, one)
      for (const [index, value] of got.entries()) sums[index]! += value - update[index]!
    }
    const coded = update.filter((value) => value !== 0)
    const share = type === 'Int8' ? 0.0505 : 0.34
    const step = share * Math.sqrt(coded.reduce((sum, value) => sum + value ** 2, 0) / coded.length)
    const deviation = step / Math.sqrt(12 * seeds)
    const worst = Math.max(...sums.map((sum) => Math.abs(sum / seeds)))
    expect(worst).toBeLessThan(6 * deviation)
    const variance = sums.reduce((sum, value) => sum + (value / seeds) ** 2, 0) / coded.length
    expect(Math.sqrt(variance) / deviation).toBeGreaterThan(0.9)
    expect(Math.sqrt(variance) / deviation).toBeLessThan(1.1)
  })
})

describe('error feedback', () => {
  it.each(named.filter(({ codec }) => codec.type !== 'Float32'))(
    'with $name loses nothing over rounds: what was sent and what is left add up',
    async ({ codec }) => {
      let residual: Float32Array | undefined
      const sent = new Float64Array(layout.length)
      const wanted = new Float64Array(layout.length)
      for (let round = 0; round < 5; round++) {
        const update = anUpdate(20 + round)
        const step = await encodeWithFeedback(update, residual, { layout, codec, seed: round })
        const got = await decode(step.encoded, codec)
        for (const [index, value] of update.entries()) {
          wanted[index]! += value
          sent[index]! += got[index]!
        }
        residual = step.residual
      }
      const missing = wanted.map((value, index) => Math.abs(value - sent[index]! - residual![index]!))
      expect(Math.max(...missing)).toBeLessThan(1e-5)
    },
  )

  it('refuses a residual of another length', async () => {
    const settings = { layout, codec: { type: 'Int8', rank: 0 } as const, seed: 0 }
    await expect(encodeWithFeedback(values, new Float32Array(3), settings)).rejects.toThrow(
      'the residual has 3 values',
    )
  })
})

it('Float16 refuses what it cannot hold', () => {
  const one = layoutOf([{ shape: [2], group: 0 }])
  expect(() => encodeUpdate(Float32Array.of(1, 65_520), one, { type: 'Float16' }, 0)).toThrow(
    'value 1 is 65520; float16 ends at 65504',
  )
})

function bytesOf(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
