import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fedAvg } from './fed-avg.ts'
import { mergeUpdates, type MergeOptions, type SpooledUpdate } from './merge.ts'

let directory: string
let files = 0
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-merge-'))
})
afterAll(async () => rm(directory, { recursive: true, force: true }))

async function spooled(
  participant: string,
  samples: number,
  values: ArrayLike<number>,
): Promise<SpooledUpdate> {
  const path = join(directory, `${files++}.f32`)
  await writeFile(path, Buffer.from(Float32Array.from(values).buffer))
  return { participant, samples, path }
}

async function merge(
  updates: readonly SpooledUpdate[],
  parameterCount: number,
  options: Partial<MergeOptions> = {},
): Promise<Float32Array> {
  const pieces: Buffer[] = []
  const write = async (bytes: Uint8Array): Promise<void> => {
    pieces.push(Buffer.from(bytes))
    await Promise.resolve()
  }
  await mergeUpdates({ strategy: fedAvg, updates, parameterCount, write, ...options })
  return new Float32Array(Uint8Array.from(Buffer.concat(pieces)).buffer)
}

describe('merging', () => {
  it('weighs updates by their samples', async () => {
    const updates = [await spooled('a', 1, [1, -2, 0]), await spooled('b', 3, [5, 2, 0])]
    expect(await merge(updates, 3)).toEqual(Float32Array.of(4, 1, 0))
  })

  it('gives the same bits whatever the order of arrival', async () => {
    // Large values cancel each other; what is left of the small ones depends on the order of the additions.
    const palette = [1e30, -1e30, 1, 3e-3, -7, 1e15, 0.1]
    const count = 700
    const updates: SpooledUpdate[] = []
    for (let i = 0; i < palette.length; i++) {
      const values = Array.from(
        { length: count },
        (_, k) => palette[(i * (1 + (k % 6))) % palette.length] ?? 0,
      )
      updates.push(await spooled(`node-${i}`, 2, values))
    }
    const want = Buffer.from((await merge(updates, count)).buffer)
    const shuffles = fc.shuffledSubarray(updates, { minLength: updates.length })
    await fc.assert(
      fc.asyncProperty(shuffles, async (order) => {
        const got = Buffer.from((await merge(order, count)).buffer)
        expect(got.equals(want)).toBe(true)
      }),
      { numRuns: 20 },
    )
  })

  it('gives the same bits whatever the length of a slice', async () => {
    const count = 5000
    const updates = [
      await spooled(
        'a',
        3,
        Array.from({ length: count }, (_, k) => Math.cos(k)),
      ),
      await spooled(
        'b',
        7,
        Array.from({ length: count }, (_, k) => Math.sin(k)),
      ),
    ]
    const whole = await merge(updates, count)
    expect(await merge(updates, count, { memoryBytes: 1 })).toEqual(whole)
  })

  it('agrees with a plain sum in float64', async () => {
    const values = [
      [0.1, 1e30, -3],
      [0.2, 1e-30, 4],
      [0.7, -1e30, 5],
    ]
    const samples = [11, 2, 9]
    const updates = await Promise.all(values.map(async (v, i) => spooled(`n${i}`, samples[i] ?? 0, v)))
    const want = [0, 1, 2].map((k) => {
      const terms = values.map((v, i) => (samples[i] ?? 0) * Math.fround(v[k] ?? 0))
      return terms.reduce((a, b) => a + b, 0) / 22
    })
    expect(await merge(updates, 3)).toEqual(Float32Array.from(want))
  })

  it('counts every update of a crowd exactly once, with few files open and bounded memory', async () => {
    // Participant i contributes 1 at coordinate i and 0 elsewhere: 1/n everywhere, or somebody was lost or counted twice.
    const participants = 500
    const count = 2 ** 16
    const updates: SpooledUpdate[] = []
    for (let i = 0; i < participants; i++) {
      const values = new Float32Array(count)
      values[i] = 1
      updates.push(await spooled(`node-${String(i).padStart(4, '0')}`, 1, values))
    }
    let mostOpen = 0
    let mostBuffers = 0
    const before = process.memoryUsage().arrayBuffers
    const merged: number[] = []
    await mergeUpdates({
      strategy: fedAvg,
      updates,
      parameterCount: count,
      memoryBytes: 64 * 1024,
      write: async (bytes) => {
        mostOpen = Math.max(mostOpen, (await readdir('/proc/self/fd')).length)
        mostBuffers = Math.max(mostBuffers, process.memoryUsage().arrayBuffers - before)
        merged.push(...new Float32Array(Uint8Array.from(bytes).buffer))
      },
    })
    expect(merged.slice(0, participants)).toEqual(new Array(participants).fill(Math.fround(1 / participants)))
    expect(merged.slice(participants).every((value) => value === 0)).toBe(true)
    expect(merged).toHaveLength(count)
    expect(mostOpen).toBeLessThan(200)
    // All updates together are 125 MiB.
    expect(mostBuffers).toBeLessThan(16 * 1024 * 1024)
  })

  it.each([
    { name: 'too short', values: [1, 2], said: /node-x has 8 bytes; the parameters take 12/ },
    { name: 'too long', values: [1, 2, 3, 4], said: /node-x has 16 bytes; the parameters take 12/ },
  ])('refuses a spooled file that is $name', async ({ values, said }) => {
    const updates = [await spooled('node-a', 1, [1, 2, 3]), await spooled('node-x', 1, values)]
    await expect(merge(updates, 3)).rejects.toThrow(said)
  })

  it('refuses two updates of one participant', async () => {
    const updates = [await spooled('a', 1, [1]), await spooled('a', 1, [2])]
    await expect(merge(updates, 1)).rejects.toThrow(/participant a has two updates/)
  })

  it('stops when it is told to', async () => {
    const abort = new AbortController()
    abort.abort()
    await expect(merge([await spooled('a', 1, [1])], 1, { signal: abort.signal })).rejects.toThrow(/abort/)
  })

  it('refuses to average nothing', async () => {
    await expect(merge([], 1)).rejects.toThrow(/at least 1/)
  })
})
