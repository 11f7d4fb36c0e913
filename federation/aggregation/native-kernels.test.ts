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
      return [sums, gram, median, around]
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
      name: 'bytes that are no whole values',
      call: () => kernels.addSquares(new Float64Array(8), new Uint8Array(5), 0),
      said: 'whole float32',
    },
  ])('$name', ({ call, said }) => {
    expect(call).toThrow(said)
  })
})

describe('adding up files', () => {
  let directory: string
  const files: FileHandle[] = []
  // More values than one piece and more files than one group, so that both rests are met.
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
    { name: 'from the start', start: 0, count: length },
    { name: 'a slice', start: 501, count: 8_193 },
    { name: 'nothing', start: 0, count: 0 },
  ])('gives the bits of reading and accumulating: $name', async ({ start, count }) => {
    const want = new Float64Array(count).fill(3)
    referenceKernels.accumulate(
      want,
      rows.map((row) => row.subarray(start, start + count)),
      weights,
    )
    const got = new Float64Array(count).fill(3)
    await kernels.accumulateFiles?.(got, descriptors(), weights, 4 * start)
    expect(sameBits(got, want)).toBe(true)
  })

  it('fails when a file ends early, saying which', async () => {
    const sums = new Float64Array(length)
    await expect(kernels.accumulateFiles?.(sums, descriptors(), weights, 4)).rejects.toThrow(
      'update 0 ends before',
    )
  })

  it('fails when a file cannot be read', async () => {
    const sums = new Float64Array(1)
    await expect(kernels.accumulateFiles?.(sums, Int32Array.of(-1), weights, 0)).rejects.toThrow(
      'update 0 cannot be read: ',
    )
  })
})
