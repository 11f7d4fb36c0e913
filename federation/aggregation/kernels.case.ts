// What every implementation of the kernels must compute, bit for bit: worked examples, and random inputs against plain
// loops that follow the words of kernels.ts. Each implementation's test calls testKernels.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ElementwiseProgram, INSTRUCTION, OPERATIONS } from './elementwise.ts'
import { GRAM_BLOCK, medianRange, type Kernels } from './kernels.ts'

const f32 = (...values: number[]): Float32Array => Float32Array.from(values)
const f64 = (...values: number[]): Float64Array => Float64Array.from(values)

/** Equal bits, so that +0 and −0 differ. */
export function sameBits(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const bytes = (v: ArrayBufferView): Buffer => Buffer.from(v.buffer, v.byteOffset, v.byteLength)
  return bytes(a).equals(bytes(b))
}

/** Values that a careless order of additions, a flush of denormals or a contracted product gets wrong. */
const value = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 1, -1, 1e-45, -1e-45, 3.4e38, -3.4e38, 1e-30, 16777216, 0.1).map(Math.fround),
  fc.integer({ min: -3, max: 3 }),
)

interface Updates {
  readonly updates: Float32Array[]
  readonly length: number
}

const updatesOf = (maximum: number): fc.Arbitrary<Updates> =>
  fc
    .tuple(fc.integer({ min: 1, max: maximum }), fc.integer({ min: 0, max: 70 }))
    .chain(([n, length]) =>
      fc
        .array(fc.array(value, { minLength: length, maxLength: length }), { minLength: n, maxLength: n })
        .map((rows) => ({ length, updates: rows.map((row) => Float32Array.from(row)) })),
    )

function column({ updates }: Updates, i: number): number[] {
  return updates.map((update) => update[i]!).sort((a, b) => a - b)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, one) => sum + one, 0) / values.length
}

export function testKernels(name: string, kernels: Kernels): void {
  describe(`kernels of ${name}`, () => {
    testAccumulate(kernels)
    testGram(kernels)
    testSorted(kernels)
    testSquares(kernels)
    testElementwise(kernels)
    testMean(kernels)
  })
}

function testAccumulate(kernels: Kernels): void {
  describe('accumulate', () => {
    it('adds each update times its weight to what is there', () => {
      const sums = f64(10, 0, -1)
      kernels.accumulate(sums, [f32(1, 2, 3), f32(4, 5, 6)], f64(2, 0.5))
      expect([...sums]).toEqual([14, 6.5, 8])
    })

    it('rounds the product before it adds', () => {
      // 0.1f · 3 rounded to float64, minus the same rounded product, is 0; a fused multiply-add leaves the rounding error.
      const sums = f64(0)
      const product = 0.7 * Math.fround(0.1)
      kernels.accumulate(sums, [f32(1), f32(0.1)], f64(-product, 0.7))
      expect([...sums]).toEqual([0])
    })

    it('adds in the order of the updates, for every number, length and weight', () => {
      fc.assert(
        fc.property(
          updatesOf(20),
          fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 20 }),
          (input, w) => {
            const weights = Float64Array.from(w.slice(0, input.updates.length))
            const want = new Float64Array(input.length).fill(0.25)
            for (let i = 0; i < input.length; i++) {
              for (const [k, update] of input.updates.entries()) want[i]! += weights[k]! * update[i]!
            }
            const got = new Float64Array(input.length).fill(0.25)
            kernels.accumulate(got, input.updates, weights)
            expect(sameBits(got, want)).toBe(true)
          },
        ),
      )
    })

    it('takes slices that start anywhere in a buffer', () => {
      const buffer = f32(9, 1, 2, 3, 9)
      const sums = f64(7, 0, 0, 0, 7)
      kernels.accumulate(sums.subarray(1, 4), [buffer.subarray(1, 4)], f64(1))
      expect([...sums]).toEqual([7, 1, 2, 3, 7])
    })
  })
}

function wantedGram({ updates, length }: Updates, start: Float64Array): Float64Array {
  const gram = Float64Array.from(start)
  const n = updates.length
  for (let block = 0; block < length; block += GRAM_BLOCK) {
    const slices = updates.map((update) => update.subarray(block, Math.min(block + GRAM_BLOCK, length)))
    for (let k = 0; k < n; k++) {
      for (let l = 0; l < n; l++) gram[k * n + l]! += wantedProduct(slices[k]!, slices[l]!)
    }
  }
  return gram
}

function wantedProduct(a: Float32Array, b: Float32Array): number {
  const s = [0, 0, 0, 0, 0, 0, 0, 0]
  for (const [i, one] of a.entries()) s[i % 8]! += one * b[i]!
  return s[0]! + s[4]! + (s[2]! + s[6]!) + (s[1]! + s[5]! + (s[3]! + s[7]!))
}

function testGram(kernels: Kernels): void {
  describe('addGram', () => {
    it('adds all inner products to what is there', () => {
      const gram = f64(0, 100, 100, 0)
      kernels.addGram(gram, [f32(1, 2, 3), f32(-1, 0, 5)])
      expect([...gram]).toEqual([14, 114, 114, 26])
    })

    it('adds in the order that kernels.ts says', () => {
      fc.assert(
        fc.property(updatesOf(11), (input) => {
          const n = input.updates.length
          const got = new Float64Array(n * n).fill(0.5)
          const want = wantedGram(input, got)
          kernels.addGram(got, input.updates)
          expect(sameBits(got, want)).toBe(true)
        }),
      )
    })

    it('does so beyond a block, and gives the same bits when called block by block', () => {
      const length = 2 * GRAM_BLOCK + 77
      const wave = (k: number): Float32Array =>
        Float32Array.from({ length }, (_, i) => Math.sin(i * (k + 1)) * 10 ** ((i % 9) - 4))
      const updates = [0, 1, 2, 3, 4, 5, 6].map(wave)
      const whole = new Float64Array(49)
      kernels.addGram(whole, updates)
      expect(sameBits(whole, wantedGram({ updates, length }, new Float64Array(49)))).toBe(true)
      const blocks = new Float64Array(49)
      for (let at = 0; at < length; at += GRAM_BLOCK) {
        kernels.addGram(
          blocks,
          updates.map((update) => update.subarray(at, Math.min(at + GRAM_BLOCK, length))),
        )
      }
      expect(sameBits(blocks, whole)).toBe(true)
    })
  })
}

function testSorted(kernels: Kernels): void {
  describe('sortedMean', () => {
    it.each([
      { name: 'the median of an odd number', range: medianRange(3), want: [2, 0] },
      { name: 'the least', range: { lo: 0, hi: 1 }, want: [1, -7] },
      { name: 'the mean of all', range: { lo: 0, hi: 3 }, want: [4, -2] },
      { name: 'the mean of the upper two', range: { lo: 1, hi: 3 }, want: [5.5, 0.5] },
    ])('gives $name', ({ range, want }) => {
      const out = new Float32Array(2)
      kernels.sortedMean(out, [f32(9, 1), f32(1, 0), f32(2, -7)], range)
      expect([...out]).toEqual(want)
    })

    it('agrees with sorting, adding and dividing in float64, for every number of updates and every range', () => {
      fc.assert(
        fc.property(updatesOf(40), fc.nat(39), fc.nat(39), (input, a, b) => {
          const n = input.updates.length
          const lo = Math.min(a % n, b % n)
          const hi = Math.max(a % n, b % n) + 1
          const want = Float32Array.from({ length: input.length }, (_, i) =>
            mean(column(input, i).slice(lo, hi)),
          )
          const got = new Float32Array(input.length)
          kernels.sortedMean(got, input.updates, { lo, hi })
          expect(sameBits(got, want)).toBe(true)
        }),
        { numRuns: 300 },
      )
    })
  })

  describe('meanAroundMedian', () => {
    it.each([
      { name: 'leaves out the farthest', values: [0, 1, 2, 3, 100], count: 3, want: 2 },
      { name: 'leaves out the upper one of two that are as far', values: [0, 2, 4], count: 2, want: 1 },
      { name: 'takes the middle of an even number as the median', values: [0, 1, 3, 9], count: 2, want: 2 },
      { name: 'takes all', values: [5, 1, 3], count: 3, want: 3 },
      { name: 'takes one', values: [5, 1, 3], count: 1, want: 3 },
    ])('$name', ({ values, count, want }) => {
      const out = new Float32Array(1)
      kernels.meanAroundMedian(
        out,
        values.map((one) => f32(one)),
        count,
      )
      expect([...out]).toEqual([want])
    })

    it('agrees with leaving out one end after the other, for every number of updates and every count', () => {
      fc.assert(
        fc.property(updatesOf(40), fc.nat(39), (input, a) => {
          const n = input.updates.length
          const count = (a % n) + 1
          const want = Float32Array.from({ length: input.length }, (_, i) => {
            const sorted = column(input, i)
            const { lo, hi } = medianRange(n)
            const median = mean(sorted.slice(lo, hi))
            while (sorted.length > count) {
              if (median - sorted[0]! > sorted.at(-1)! - median) sorted.shift()
              else sorted.pop()
            }
            return mean(sorted)
          })
          const got = new Float32Array(input.length)
          kernels.meanAroundMedian(got, input.updates, count)
          expect(sameBits(got, want)).toBe(true)
        }),
        { numRuns: 300 },
      )
    })
  })
}

function testSquares(kernels: Kernels): void {
  describe('addSquares', () => {
    it('adds each square to the lane of its position', () => {
      const lanes = new Float64Array(8).fill(1)
      kernels.addSquares(lanes, new Uint8Array(f32(2, 3, 4).buffer), 7)
      expect([...lanes]).toEqual([10, 17, 1, 1, 1, 1, 1, 5])
    })

    it('gives the same bits for every way to cut the values, aligned or not', () => {
      const values = fc.array(value, { maxLength: 60 })
      const cuts = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 20 })
      fc.assert(
        fc.property(values, cuts, fc.nat(3), (numbers, lengths, shift) => {
          const bytes = new Uint8Array(shift + 4 * numbers.length)
          bytes.set(new Uint8Array(Float32Array.from(numbers).buffer), shift)
          const want = new Float64Array(8)
          for (const [i, one] of Float32Array.from(numbers).entries()) want[i % 8]! += one * one
          const got = new Float64Array(8)
          for (let at = 0, turn = 0; at < numbers.length; turn++) {
            const length = Math.min(lengths[turn % lengths.length]! + (turn % 2), numbers.length - at)
            kernels.addSquares(got, bytes.subarray(shift + 4 * at, shift + 4 * (at + length)), at)
            at += length
          }
          expect(sameBits(got, want)).toBe(true)
        }),
      )
    })

    it.each([Number.NaN, Infinity, -Infinity])('makes %d visible', (one) => {
      const lanes = new Float64Array(8)
      kernels.addSquares(lanes, new Uint8Array(f32(1, one, 3).buffer), 0)
      expect(Number.isFinite(lanes[1])).toBe(false)
    })
  })
}

/** Operand places: three vectors, two registers, two scalars. */
const operand = fc.integer({ min: -2, max: 4 })
const instruction = fc.tuple(fc.nat(OPERATIONS.length - 1), fc.nat(4), operand, operand)

function testElementwise(kernels: Kernels): void {
  describe('runElementwise', () => {
    // After sums[0] += the first vector, the square root of it all; the second vector keeps its values.
    const program: ElementwiseProgram = {
      vectors: 2,
      registers: 1,
      scalars: 1,
      code: Int32Array.of(0, 2, 0, 1, 2, 2, 2, -1, 4, 0, 2, 2),
    }

    it('runs the instructions for each element', () => {
      const [first, second] = [f32(1, 2, 3), f32(7, 6, 15)]
      kernels.runElementwise(program, f32(2), [first, second], 1)
      expect([...first]).toEqual([4, 4, 6])
      expect([...second]).toEqual([7, 6, 15])
    })

    it('does what each operation says, instruction by instruction, rounded to float32', () => {
      const programs = fc.array(instruction, { minLength: 1, maxLength: 12 })
      fc.assert(
        fc.property(programs, fc.array(fc.tuple(value, value, value), { maxLength: 9 }), (code, rows) => {
          const vectors = [0, 1, 2].map((k) => Float32Array.from(rows, (row) => row[k]!))
          const scalars = f32(0.1, -3)
          // A register starts as 0 here and with what was left in it elsewhere: each is written first.
          const starts = [3, 4].map((register) => [OPERATIONS.indexOf('Copy'), register, -1, -1])
          const numbers = Int32Array.from([...starts, ...code].flat())
          const want = rows.map((row) => oneElement(numbers, [...row], scalars))
          kernels.runElementwise({ vectors: 3, registers: 2, scalars: 2, code: numbers }, scalars, vectors, 1)
          for (const [k, vector] of vectors.entries()) expect([...vector]).toEqual(want.map((row) => row[k]))
        }),
      )
    })

    it.each([1, 511, 2049, 70_000, 200_001])(
      'treats %d elements alike, on any number of threads',
      (length) => {
        const run = (threads: number): Float32Array => {
          const vectors = [1, 2].map((k) => Float32Array.from({ length }, (_, i) => Math.cos(i * k) + 1))
          kernels.runElementwise(program, f32(0.3), vectors, threads)
          return vectors[0]!
        }
        const want = Float32Array.from({ length }, (_, i) => {
          const [a, b] = [Math.fround(Math.cos(i) + 1), Math.fround(Math.cos(i * 2) + 1)]
          return Math.sqrt(Math.fround(Math.fround(a + b) * Math.fround(0.3)))
        })
        for (const threads of [1, 2, 3]) expect(sameBits(run(threads), want)).toBe(true)
      },
    )
  })
}

function oneElement(code: Int32Array, vectors: number[], scalars: Float32Array): number[] {
  const places = [...vectors, 0, 0]
  const at = (place: number): number => (place < 0 ? scalars[-1 - place]! : places[place]!)
  for (let i = 0; i < code.length; i += INSTRUCTION) {
    const [a, b] = [at(code[i + 2]!), at(code[i + 3]!)]
    const results = [
      a + b,
      a - b,
      a * b,
      a / b,
      Math.sqrt(a),
      a > 0 ? a : 0,
      Number(a > 0) - Number(a < 0),
      a,
    ]
    places[code[i + 1]!] = Math.fround(results[code[i]!]!)
  }
  return places.slice(0, vectors.length)
}

function testMean(kernels: Kernels): void {
  describe('addMean', () => {
    it('divides, adds, and rounds to float32 last', () => {
      const out = new Float32Array(3)
      kernels.addMean(out, f32(1, 0.1, 16777216), { sums: f64(3, 0.3, 1.5), divisor: 3 })
      expect([...out]).toEqual([2, Math.fround(Math.fround(0.1) + 0.3 / 3), 16777216])
    })

    it('does so for every value and length', () => {
      const values = fc.array(fc.tuple(value, fc.double({ noNaN: true, min: -1e30, max: 1e30 })), {
        maxLength: 70,
      })
      fc.assert(
        fc.property(values, fc.double({ noNaN: true, min: 1, max: 1e9 }), (pairs, divisor) => {
          const base = Float32Array.from(pairs, ([one]) => one)
          const sums = Float64Array.from(pairs, ([, sum]) => sum)
          const want = Float32Array.from(base, (one, i) => one + sums[i]! / divisor)
          const got = new Float32Array(pairs.length)
          kernels.addMean(got, base, { sums, divisor })
          expect(sameBits(got, want)).toBe(true)
        }),
      )
    })

    it('shows a quotient that overflows', () => {
      const out = new Float32Array(1)
      kernels.addMean(out, f32(3e38), { sums: f64(3e38), divisor: 1 })
      expect([...out]).toEqual([Infinity])
    })
  })
}
