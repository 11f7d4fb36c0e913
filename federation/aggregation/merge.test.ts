import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { float32File } from './float32-file.ts'
import { mergeUpdates, type AcceptedUpdate, type MergeOptions } from './merge.ts'
import { zeros } from './reader.ts'
import { strategyOf } from './strategies.ts'
import { mergeInMemory } from './testing/merging.ts'

let directory: string
let files = 0
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-merge-'))
})
afterAll(async () => rm(directory, { recursive: true, force: true }))

const fedAvg = strategyOf({ type: 'FedAvg' })

async function spooled(
  participant: string,
  samples: number,
  values: ArrayLike<number>,
): Promise<AcceptedUpdate> {
  const path = join(directory, `${files++}.f32`)
  await writeFile(path, Buffer.from(Float32Array.from(values).buffer))
  return { participant, samples, open: float32File(path) }
}

async function merge(
  updates: readonly AcceptedUpdate[],
  parameterCount: number,
  options: Partial<MergeOptions> = {},
): Promise<Float32Array> {
  const pieces: Buffer[] = []
  await mergeUpdates({
    strategy: fedAvg,
    updates,
    base: zeros(parameterCount),
    parameterCount,
    trainableCount: parameterCount,
    context: { round: 1, participants: updates.length, learningRate: 0.1 },
    write: async (bytes) => {
      pieces.push(Buffer.from(bytes))
    },
    ...options,
  })
  return new Float32Array(Uint8Array.from(Buffer.concat(pieces)).buffer)
}

it('takes from a discounted update what others do not get, also from a sum of updates', async () => {
  const [own, late] = [await spooled('a', 3, [8]), await spooled('b', 1, [16])]
  const summed = { ...(await spooled('b', 2, [32])), summed: true, discount: 0.5 }
  expect(await merge([own, late], 1)).toEqual(Float32Array.of(10))
  expect(await merge([own, { ...late, discount: 0.5 }], 1)).toEqual(Float32Array.of(8))
  expect(await merge([{ ...late, discount: 0.5 }], 1)).toEqual(Float32Array.of(8))
  expect(await merge([own, summed], 1)).toEqual(Float32Array.of((3 * 8 + 0.5 * 32) / 5))
})

describe('merging', () => {
  it('adds the mean of the updates, weighted by samples, to the base', async () => {
    const base = await spooled('base', 0, [10, 20, 30])
    const updates = [await spooled('a', 1, [1, -2, 0]), await spooled('b', 3, [5, 2, 0])]
    expect(await merge(updates, 3, { base: base.open })).toEqual(Float32Array.of(14, 21, 30))
  })

  it('gives the same bits whatever the order of arrival', async () => {
    // Large values cancel each other; what is left of the small ones depends on the order of the additions.
    const palette = [1e30, -1e30, 1, 3e-3, -7, 1e15, 0.1]
    const count = 700
    const updates: AcceptedUpdate[] = []
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
    const updates: AcceptedUpdate[] = []
    for (let i = 0; i < participants; i++) {
      const values = new Float32Array(count)
      values[i] = 1
      updates.push(await spooled(`node-${String(i).padStart(4, '0')}`, 1, values))
    }
    let mostOpen = 0
    let mostBuffers = 0
    const before = process.memoryUsage().arrayBuffers
    const merged: number[] = []
    await merge(updates, count, {
      memoryBytes: 256 * 1024,
      write: async (bytes) => {
        mostOpen = Math.max(mostOpen, (await readdir('/proc/self/fd')).length)
        mostBuffers = Math.max(mostBuffers, process.memoryUsage().arrayBuffers - before)
        merged.push(...new Float32Array(Uint8Array.from(bytes).buffer))
      },
    })
    expect(merged.slice(0, participants)).toEqual(new Array(participants).fill(Math.fround(1 / participants)))
    expect(merged.slice(participants).every((value) => value === 0)).toBe(true)
    expect(merged).toHaveLength(count)
    expect(mostOpen).toBeLessThan(300)
    // All updates together are 125 MiB.
    expect(mostBuffers).toBeLessThan(16 * 1024 * 1024)
  })

  it.each([
    { name: 'too short', values: [1, 2], said: 'update of node-x has 2 values; expected are 3' },
    { name: 'too long', values: [1, 2, 3, 4], said: 'update of node-x has 4 values; expected are 3' },
  ])('refuses an update that is $name', async ({ values, said }) => {
    const updates = [await spooled('node-a', 1, [1, 2, 3]), await spooled('node-x', 1, values)]
    await expect(merge(updates, 3)).rejects.toThrow(said)
  })

  it('refuses a file that is cut within a value', async () => {
    const path = join(directory, `${files++}.f32`)
    await writeFile(path, Buffer.alloc(6))
    const updates = [{ participant: 'node-x', samples: 1, open: float32File(path) }]
    await expect(merge(updates, 2)).rejects.toThrow('update of node-x has 1.5 values; expected are 2')
  })

  it('refuses a file that shrinks while it is read', async () => {
    const path = join(directory, `${files++}.f32`)
    await writeFile(path, Buffer.alloc(8))
    const reader = await float32File(path)()
    await writeFile(path, Buffer.alloc(4))
    await expect(reader.read(0, new Float32Array(2))).rejects.toThrow('the file ends at byte 4')
    await reader.close()
  })

  it('adds running state without the server optimiser', async () => {
    const strategy = strategyOf({ type: 'FedAvgM', serverLearningRate: 10, serverMomentum: 0.5 })
    const { parameters, state } = await mergeInMemory({
      strategy,
      updates: [{ participant: 'a', values: [1, 1, 1] }],
      base: [100, 200, 300],
      trainableCount: 2,
    })
    expect([...parameters]).toEqual([110, 210, 301])
    expect(state.map((vector) => [...vector])).toEqual([[1, 1]])
  })

  it('reads no update again that does not count', async () => {
    const strategy = strategyOf({ type: 'Krum', byzantine: 0 })
    const values = [1, 2.5, 4.2, 50, 2.4]
    const reads = new Map<string, number>()
    const updates = values.map((value, k): AcceptedUpdate => {
      const participant = `node-${k}`
      const open: AcceptedUpdate['open'] = async () => ({
        length: 1,
        read: async (_start, into) => {
          reads.set(participant, (reads.get(participant) ?? 0) + 1)
          into.fill(value)
        },
        close: async () => {},
      })
      return { participant, samples: 1, open }
    })
    expect([...(await merge(updates, 1, { strategy }))]).toEqual([2.5])
    expect(Object.fromEntries(reads)).toEqual({
      'node-0': 1,
      'node-1': 2,
      'node-2': 1,
      'node-3': 1,
      'node-4': 1,
    })
  })

  it('hands on nothing that is not finite', async () => {
    const updates = [{ participant: 'a', values: [0, 3e38] }]
    await expect(mergeInMemory({ strategy: fedAvg, updates, base: [0, 3e38] })).rejects.toThrow(
      'value 1 of the merged parameters became Infinity; FedAvg diverged, or an update was too large',
    )
  })

  it.each([
    { name: 'readers', state: [], writeState: [async () => {}], said: 'there are 0 readers and 1 sinks' },
    { name: 'sinks', state: [Float32Array.of(0)], writeState: [], said: 'there are 1 readers and 0 sinks' },
  ])('refuses server state of which $name are missing', async ({ state, writeState, said }) => {
    const strategy = strategyOf({ type: 'FedAvgM', serverLearningRate: 1, serverMomentum: 0.9 })
    const updates = [{ participant: 'a', values: [1] }]
    await expect(mergeInMemory({ strategy, updates, state, writeState })).rejects.toThrow(
      `FedAvgM keeps 1 server state vectors (momentum); ${said}`,
    )
  })

  it('refuses updates without any sample', async () => {
    const updates = [{ participant: 'a', values: [1], samples: 0 }]
    await expect(mergeInMemory({ strategy: fedAvg, updates })).rejects.toThrow(
      'samples of all updates together are 0; a weighted mean needs at least 1',
    )
  })
})
