import { mkdtemp, open, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sameBits, testKernels } from './kernels.case.ts'
import { ensureAddon } from './native/build.ts'
import { compiledKernels, loadKernels } from './native-kernels.ts'
import { referenceKernels } from './reference-kernels.ts'

await ensureAddon()
const loaded = loadKernels()
const { kernels } = loaded
const compiled = compiledKernels()
for (const one of compiled) testKernels(`the add-on for ${one.variant}`, one)

it('the add-on is what was tested', () => {
  expect(loaded).toMatchObject({
    native: true,
    description: expect.stringMatching(/^compiled for /) as string,
  })
})

it('without the add-on the kernels in TypeScript serve, and why is said', () => {
  const fallback = loadKernels('./native/missing.node')
  expect(fallback).toMatchObject({ native: false, kernels: referenceKernels })
  expect(fallback.description).toContain('missing.node')
})

describe('the add-on agrees with TypeScript', () => {
  const wave = (k: number, length: number): Float32Array =>
    Float32Array.from({ length }, (_, i) => Math.sin(i * (k + 1)) * 10 ** ((i % 9) - 4))
  const updates = (n: number, length: number): Float32Array[] =>
    Array.from({ length: n }, (_, k) => wave(k, length))

  it.each([
    { n: 8, length: 10_000 },
    { n: 33, length: 5_003 },
    { n: 100, length: 1_025 },
  ])('on $n updates of $length values', ({ n, length }) => {
    const rows = updates(n, length)
    const weights = Float64Array.from(rows, (_, k) => 1 / (k + 3))
    const results = [...compiled, referenceKernels].map((one) => {
      const [sums, gram] = [new Float64Array(length), new Float64Array(n * n)]
      const [median, around] = [new Float32Array(length), new Float32Array(length)]
      one.accumulate(sums, rows, weights)
      one.addGram(gram, rows)
      one.sortedMean(median, rows, { lo: n >> 2, hi: n - (n >> 2) })
      one.meanAroundMedian(around, rows, (n >> 1) + 1)
      const added = new Float32Array(length)
      one.addMean(added, median, { sums, divisor: n / 3 })
      return [sums, gram, median, around, added]
    })
    const want = results.pop()!
    for (const result of results) {
      for (const [index, one] of result.entries()) expect(sameBits(one, want[index]!)).toBe(true)
    }
  })
})

describe('the add-on refuses', () => {
  const row = Float32Array.of(1, 2)
  it.each([
    {
      name: 'updates that are shorter than the sums',
      call: () => kernels.accumulate(new Float64Array(3), [row], Float64Array.of(1)),
      said: 'shorter',
    },
    {
      name: 'fewer weights than updates',
      call: () => kernels.accumulate(new Float64Array(2), [row, row], Float64Array.of(1)),
      said: 'fewer weights',
    },
    {
      name: 'updates that are no float32 values',
      call: () => kernels.accumulate(new Float64Array(2), [new Float64Array(2) as never], Float64Array.of(1)),
      said: 'not a typed array',
    },
    {
      name: 'a matrix of another size',
      call: () => kernels.addGram(new Float64Array(3), [row, row]),
      said: 'each pair',
    },
    {
      name: 'an empty range',
      call: () => kernels.sortedMean(new Float32Array(2), [row], { lo: 1, hi: 1 }),
      said: 'range',
    },
    {
      name: 'a range beyond the updates',
      call: () => kernels.sortedMean(new Float32Array(2), [row], { lo: 0, hi: 2 }),
      said: 'range',
    },
    {
      name: 'a count beyond the updates',
      call: () => kernels.meanAroundMedian(new Float32Array(2), [row], 2),
      said: 'count',
    },
    {
      name: 'a count that is no number',
      call: () => kernels.meanAroundMedian(new Float32Array(2), [row], Number.NaN),
      said: 'whole number',
    },
    ...[
      { name: 'vectors of different lengths', vectors: [row, Float32Array.of(1)], said: 'same length' },
      { name: 'an operation that there is not', code: [8, 0, 0, 0], said: 'operation' },
      { name: 'a result that is a scalar', code: [0, -1, 0, 0], said: 'result has no place' },
      { name: 'a result beyond the registers', code: [0, 3, 0, 0], said: 'result has no place' },
      { name: 'an operand beyond the registers', code: [0, 0, 3, 0], said: 'operand has no place' },
      { name: 'an operand beyond the scalars', code: [0, 0, 0, -2], said: 'operand has no place' },
      { name: 'half an instruction', code: [0, 0], said: 'list of instructions' },
      { name: 'no thread', threads: 0, said: 'threads' },
    ].map(({ name, said, code = [0, 0, 0, 0], vectors = [row, row], threads = 1 }) => ({
      name: `a program with ${name}`,
      said,
      call: () => {
        const program = { vectors: 2, registers: 1, scalars: 1, code: Int32Array.from(code) }
        kernels.runElementwise(program, Float32Array.of(1), vectors, threads)
      },
    })),
    {
      name: 'a base that is shorter than the output',
      call: () => kernels.addMean(new Float32Array(3), row, { sums: new Float64Array(3), divisor: 1 }),
      said: 'base or the sums are shorter',
    },
    {
      name: 'bytes that are no whole values',
      call: () => kernels.addSquares(new Float64Array(8), new Uint8Array(5), 0),
      said: 'whole float32',
    },
  ])('$name', ({ call, said }) => {
    expect(call).toThrow(said)
  })
})

describe('files', () => {
  let directory: string
  const files: FileHandle[] = []
  const length = 20_011
  const rows = Array.from({ length: 11 }, (_, k) =>
    Float32Array.from({ length }, (_, i) => Math.cos(i + k * 7)),
  )
  const weights = Float64Array.from(rows, (_, k) => k + 0.1)
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tributary-native-'))
    for (const [k, row] of rows.entries()) {
      await writeFile(join(directory, String(k)), new Uint8Array(row.buffer))
      files.push(await open(join(directory, String(k))))
    }
  })
  afterAll(async () => {
    for (const file of files) await file.close()
    await rm(directory, { recursive: true, force: true })
  })
  const descriptors = (): Int32Array => Int32Array.from(files, (file) => file.fd)

  it.each([
    { name: 'from the start', start: 0, count: length, room: 3 * length },
    { name: 'a slice, one file at a time', start: 501, count: 8_193, room: 8_193 },
    { name: 'a slice, with room for all files and more', start: 501, count: 100, room: 100_000 },
    { name: 'nothing', start: 0, count: 0, room: 0 },
  ])('are added up with the bits of reading and accumulating: $name', async ({ start, count, room }) => {
    const want = new Float64Array(count).fill(3)
    referenceKernels.accumulate(
      want,
      rows.map((row) => row.subarray(start, start + count)),
      weights,
    )
    const got = new Float64Array(count).fill(3)
    const list = { descriptors: descriptors(), weights, offset: 4 * start }
    await kernels.accumulateFiles?.(got, list, new Float32Array(room))
    expect(sameBits(got, want)).toBe(true)
  })

  it('are read into rows', async () => {
    const got = new Float32Array(11 * 700)
    await kernels.readFiles?.(got, descriptors(), 4 * 501)
    for (const [k, row] of rows.entries()) {
      expect(sameBits(got.slice(k * 700, (k + 1) * 700), row.slice(501, 1201))).toBe(true)
    }
  })

  it('that end early are named', async () => {
    const list = { descriptors: descriptors(), weights, offset: 4 }
    const adding = kernels.accumulateFiles?.(new Float64Array(length), list, new Float32Array(length))
    await expect(adding).rejects.toThrow('update 0 ends before')
    const reading = kernels.readFiles?.(new Float32Array(11 * length), descriptors(), 4)
    await expect(reading).rejects.toThrow('update 0 ends before')
  })

  it('that cannot be read are named', async () => {
    const list = { descriptors: Int32Array.of(files[0]!.fd, -1), weights, offset: 0 }
    const adding = kernels.accumulateFiles?.(new Float64Array(1), list, new Float32Array(1))
    await expect(adding).rejects.toThrow('update 1 cannot be read: ')
    const reading = kernels.readFiles?.(new Float32Array(2), list.descriptors, 0)
    await expect(reading).rejects.toThrow('update 1 cannot be read: ')
  })

  it.each([
    {
      name: 'a buffer shorter than the sums',
      call: async () =>
        kernels.accumulateFiles?.(
          new Float64Array(3),
          { descriptors: descriptors(), weights, offset: 0 },
          new Float32Array(2),
        ),
      said: 'shorter than the sums',
    },
    {
      name: 'fewer weights than files',
      call: async () =>
        kernels.accumulateFiles?.(
          new Float64Array(1),
          { descriptors: descriptors(), weights: Float64Array.of(1), offset: 0 },
          new Float32Array(1),
        ),
      said: 'fewer weights than files',
    },
    {
      name: 'rows that are not as long for each file',
      call: async () => kernels.readFiles?.(new Float32Array(12), descriptors(), 0),
      said: 'not as long',
    },
  ])('are not touched for $name', async ({ call, said }) => {
    await expect(call()).rejects.toThrow(said)
  })
})
