import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quantizationOf } from './codec.ts'
import { EncodingError } from './errors.ts'
import { layoutOf } from './layout.ts'
import { applyParameterDelta, encodeParameterDelta, parameterDeltaSizeBound } from './parameter-delta.ts'
import { applyQuantizedDelta, quantizedDeltaSizeBound, quantizeForPublication } from './publication.ts'
import { bytesSource } from './source.ts'
import { anUpdate, layout, relativeError } from './testing/updates.ts'

const base = anUpdate(1).map((value) => value + Math.fround(0.02))
const change = anUpdate(2).map((value) => value / 100)
const next = base.map((value, index) => value + change[index]!)

const bitsOf = (values: Float32Array): Buffer =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength)

describe('a lossless delta', () => {
  const delta = encodeParameterDelta(base, next, layout)

  it('gives the very bits, in fewer bytes than the parameters', async () => {
    const got = await applyParameterDelta(base, bytesSource(delta), layout)
    expect(bitsOf(got).equals(bitsOf(next))).toBe(true)
    expect(delta.length).toBeLessThan(0.7 * 4 * layout.length)
    expect(delta.length).toBeLessThan(parameterDeltaSizeBound(layout))
  })

  it('is the same bytes each time', () => {
    expect(Buffer.from(encodeParameterDelta(base, next, layout)).equals(delta)).toBe(true)
  })

  it('of equal parameters is next to nothing', async () => {
    const nothing = encodeParameterDelta(base, base, layout)
    expect(nothing.length).toBeLessThan(200)
    expect(bitsOf(await applyParameterDelta(base, bytesSource(nothing), layout)).equals(bitsOf(base))).toBe(
      true,
    )
  })

  it('is exact whatever the bits are: zeros of both signs, denormals, the largest, infinities, NaN', async () => {
    const special = [0, 0x8000_0000, 1, 0x8000_0001, 0x007f_ffff, 0x0080_0000, 0x7f7f_ffff, 0xff7f_ffff]
    const bits = fc.oneof(
      fc.nat(0xffff_ffff),
      fc.constantFrom(...special, 0x7f80_0000, 0xff80_0000, 0x7fc0_0001, 0x3f80_0000, 0x3f80_0001),
    )
    const pairs = fc.array(fc.tuple(bits, bits), { minLength: 1, maxLength: 400 })
    await fc.assert(
      fc.asyncProperty(pairs, fc.boolean(), async (list, square) => {
        const repeats = square ? 40 : 1
        const column = (which: 0 | 1): Float32Array =>
          new Float32Array(
            Uint32Array.from({ length: list.length * repeats }, (_, i) => list[i % list.length]![which])
              .buffer,
          )
        const [from, to] = [column(0), column(1)]
        const own = layoutOf([{ shape: square ? [repeats, list.length] : [list.length], group: 0 }])
        const encoded = encodeParameterDelta(from, to, own)
        const got = await applyParameterDelta(from, bytesSource(encoded), own)
        expect(bitsOf(got).equals(bitsOf(to))).toBe(true)
        expect(encoded.length).toBeLessThanOrEqual(parameterDeltaSizeBound(own))
      }),
      { numRuns: 300, seed: 11 },
    )
  })

  it('is refused when its beginning is all there is, or anything in its head is changed', async () => {
    for (const length of [0, 5, 12, 40, delta.length >> 1, delta.length - 1]) {
      const cut = applyParameterDelta(base, bytesSource(delta.slice(0, length)), layout)
      await expect(cut, String(length)).rejects.toThrow(EncodingError)
    }
    for (let at = 0; at < 12; at++) {
      const damaged = delta.slice()
      damaged[at]! ^= 0x41
      const read = applyParameterDelta(base, bytesSource(damaged), layout)
      await expect(read, String(at)).rejects.toThrow(EncodingError)
    }
  })

  it.each([
    { log: 23, says: /has rank 104/ },
    { log: 24, says: /window of at most 8388608 bytes.*too much memory/ },
  ])(
    'is refused for its zstd window of 2^$log bytes, or for what that holds when the window is allowed',
    async ({ log, says }) => {
      // Magic number, no checksum, the window's size, and one last block of 5 bytes as they are.
      const frame = [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1 | (5 << 3), 0, 0, ...Buffer.from('hello')]
      const prefix = Buffer.from(delta.subarray(0, 12))
      prefix.writeUInt32LE(frame.length, 8)
      const hostile = Buffer.concat([prefix, Buffer.from(frame), delta])
      const applied = applyParameterDelta(base, bytesSource(hostile), layout)
      await expect(applied).rejects.toThrow(EncodingError)
      await expect(applied).rejects.toThrow(says)
    },
  )

  it('is not taken for a quantised one', async () => {
    await expect(applyQuantizedDelta(base, bytesSource(delta), layout)).rejects.toThrow(
      'kind 2; 1 is expected',
    )
  })

  it('is refused for another layout, and parameters of another length', async () => {
    const other = layoutOf([{ shape: [layout.length], group: 0 }])
    await expect(applyParameterDelta(base, bytesSource(delta), other)).rejects.toThrow(EncodingError)
    expect(() => encodeParameterDelta(base.subarray(1), next, layout)).toThrow('base has')
    expect(() => encodeParameterDelta(base, next.subarray(1), layout)).toThrow('next has')
  })
})

describe('a quantised publication', () => {
  it.each([
    { type: 'Int8' as const, error: 0.0147 },
    { type: 'Int4' as const, error: 0.099 },
  ])(
    'with $type is what a node computes, bit for bit, and near to what was wanted',
    async ({ type, error }) => {
      const quantization = quantizationOf(type, 16)
      const { published, delta } = await quantizeForPublication({ base, next, layout, quantization, seed: 5 })
      expect(
        bitsOf(await applyQuantizedDelta(base, bytesSource(delta), layout)).equals(bitsOf(published)),
      ).toBe(true)
      const got = published.map((value, index) => value - base[index]!)
      // Parameters are rounded to float32 too, which counts beside changes that are small.
      expect(relativeError(got, change)).toBeLessThan(error * 1.01)
      expect(delta.length).toBeLessThan(quantizedDeltaSizeBound(layout))
    },
  )

  it('does not drift: after many versions it is one rounding away from the parameters', async () => {
    const quantization = quantizationOf('Int4', 16)
    let wanted: Float32Array = base
    let published: Float32Array = base
    let carry: Float32Array | undefined
    for (let version = 0; version < 12; version++) {
      const step = anUpdate(30 + version).map((value) => value / 100)
      const merged = published.map((value, index) => value + step[index]!)
      wanted = wanted.map((value, index) => value + step[index]!)
      const request = { base: published, next: merged, layout, quantization, seed: version }
      const result = await quantizeForPublication({ ...request, ...(carry && { carry }) })
      published = result.published
      carry = result.carry
    }
    const whole = wanted.map((value, index) => value - base[index]!)
    const got = published.map((value, index) => value - base[index]!)
    expect(relativeError(got, whole)).toBeLessThan(0.05)
    const restored = published.map((value, index) => value + carry![index]!)
    expect(relativeError(restored, wanted)).toBeLessThan(1e-6)
  })
})
