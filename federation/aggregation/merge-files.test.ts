import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StrategyConfigurationInput } from './configuration.ts'
import { readStrategyConfiguration } from './configuration.ts'
import { float32File } from './float32-file.ts'
import { sameBits } from './kernels.case.ts'
import type { Kernels } from './kernels.ts'
import { mergeUpdates } from './merge.ts'
import { compiledKernels } from './native-kernels.ts'
import { ensureAddon } from './native/build.ts'
import { inMemory, type OpenReader } from './reader.ts'
import { referenceKernels } from './reference-kernels.ts'
import { strategyOf } from './strategies.ts'

await ensureAddon()
const compiled = compiledKernels()[0]!
const length = 150_001
const updates = Array.from({ length: 11 }, (_, k) =>
  Float32Array.from({ length }, (_, i) => Math.sin(i * (k + 1)) * 10 ** ((i % 9) - 4)),
)
let directory: string
const path = (k: number): string => join(directory, String(k))
const file = (k: number): OpenReader => float32File(path(k))
const memory = (k: number): OpenReader => inMemory(updates[k]!)
/** Values that only the reader can bring, as those of an encoded update. */
const decoded =
  (k: number): OpenReader =>
  async () => {
    const reader = await memory(k)()
    const read = async (start: number, into: Float32Array): Promise<void> => reader.read(start, into)
    return { length, read, close: async () => reader.close() }
  }

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-merge-files-'))
  for (const [k, update] of updates.entries()) await writeFile(path(k), new Uint8Array(update.buffer))
})
afterAll(async () => rm(directory, { recursive: true, force: true }))

async function merged(
  configuration: StrategyConfigurationInput,
  kernels: Kernels,
  open: (k: number) => OpenReader,
): Promise<Float32Array> {
  const out = new Float32Array(length)
  let at = 0
  await mergeUpdates({
    strategy: strategyOf(readStrategyConfiguration(configuration)),
    updates: updates.map((_, k) => ({ participant: `node-${k + 10}`, samples: 3 + k, open: open(k) })),
    base: inMemory(new Float32Array(length).fill(0.5)),
    parameterCount: length,
    trainableCount: length - 777,
    context: { round: 1, participants: updates.length, learningRate: 1 },
    kernels,
    memoryBytes: 1 << 20,
    write: async (bytes) => {
      new Uint8Array(out.buffer).set(bytes, at)
      at += bytes.length
      return Promise.resolve()
    },
  })
  return out
}

const strategies: StrategyConfigurationInput[] = [
  { type: 'FedAvg' },
  { type: 'TrimmedMean', trimmed: 2 },
  { type: 'MultiKrum', byzantine: 2, selected: 7 },
  { type: 'Bulyan', byzantine: 2 },
]

describe.each(strategies)(
  'merging by $type gives the bits of the kernels in TypeScript on memory',
  (strategy) => {
    it.each([
      { name: 'from memory', open: memory },
      { name: 'from files', open: file },
      { name: 'from readers', open: decoded },
      { name: 'from files and one in memory', open: (k: number) => (k === 5 ? memory(k) : file(k)) },
      { name: 'from memory and one of a reader', open: (k: number) => (k === 5 ? decoded(k) : memory(k)) },
    ])('$name', async ({ open }) => {
      const want = await merged(strategy, referenceKernels, memory)
      expect(sameBits(await merged(strategy, compiled, open), want)).toBe(true)
      expect(sameBits(await merged(strategy, referenceKernels, open), want)).toBe(true)
    })
  },
)

it('files are left to the kernels, and memory is not copied', async () => {
  const calls = { accumulateFiles: 0, readFiles: 0, copies: 0 }
  const counting: Kernels = {
    ...compiled,
    accumulateFiles: async (...args) => {
      calls.accumulateFiles += 1
      return compiled.accumulateFiles(...args)
    },
    readFiles: async (...args) => {
      calls.readFiles += 1
      return compiled.readFiles(...args)
    },
    sortedMean: (out, rows, range) => {
      calls.copies += rows.filter((row, k) => row.buffer !== updates[k]!.buffer).length
      compiled.sortedMean(out, rows, range)
    },
  }
  await merged({ type: 'FedAvg' }, counting, file)
  expect(calls).toMatchObject({ readFiles: 0, copies: 0 })
  expect(calls.accumulateFiles).toBeGreaterThan(1)
  await merged({ type: 'Median' }, counting, memory)
  expect(calls).toMatchObject({ readFiles: 0, copies: 0 })
  await merged({ type: 'Median' }, counting, file)
  expect(calls.readFiles).toBeGreaterThan(1)
})
