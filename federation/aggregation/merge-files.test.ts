import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-merge-files-'))
  for (const [k, update] of updates.entries()) await writeFile(path(k), new Uint8Array(update.buffer))
})
afterAll(async () => rm(directory, { recursive: true, force: true }))

async function merged(kernels: Kernels, open: (k: number) => OpenReader): Promise<Float32Array> {
  const out = new Float32Array(length)
  let at = 0
  await mergeUpdates({
    strategy: strategyOf({ type: 'FedAvg' }),
    updates: updates.map((_, k) => ({ participant: `node-${k + 10}`, samples: 3 + k, open: open(k) })),
    base: inMemory(new Float32Array(length).fill(0.5)),
    parameterCount: length,
    trainableCount: length - 777,
    context: { round: 1, participants: updates.length, learningRate: 1 },
    kernels,
    write: async (bytes) => {
      new Uint8Array(out.buffer).set(bytes, at)
      at += bytes.length
      return Promise.resolve()
    },
  })
  return out
}

describe('merging files', () => {
  it('that the kernels read themselves gives the bits of reading them into memory', async () => {
    let calls = 0
    const counting: Kernels = {
      ...compiled,
      accumulateFiles: async (...args) => {
        calls += 1
        return compiled.accumulateFiles(...args)
      },
    }
    const want = await merged(referenceKernels, (k) => inMemory(updates[k]!))
    expect(sameBits(await merged(counting, (k) => float32File(path(k))), want)).toBe(true)
    expect(calls).toBeGreaterThan(1)
  })

  it('goes on without that when one update is not in a file', async () => {
    const want = await merged(referenceKernels, (k) => inMemory(updates[k]!))
    const got = await merged(compiled, (k) => (k === 5 ? inMemory(updates[k]!) : float32File(path(k))))
    expect(sameBits(got, want)).toBe(true)
  })
})
