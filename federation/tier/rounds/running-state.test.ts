import { describe, expect, it } from 'vitest'
import { inMemory, type OpenReader } from '#federation/aggregation/reader.ts'
import { withRunningStateInto } from './running-state.ts'

// Three trained values, three of running state, and a section.
const UPDATE = Float32Array.of(1, 2, 3, -0.75, 0, 0.5, 7)
const from = inMemory(Float32Array.of(10, 10, 10, 1, 1, 1))
const into = inMemory(Float32Array.of(20, 20, 20, 0.25, 0.5, 4))
const running = { start: 3, end: 6 }

describe('an update that started from older parameters', () => {
  it.each([
    { name: 'all at once', slices: [7] },
    { name: 'in slices that cut the running state', slices: [2, 2, 1, 2] },
  ])('brings its own values of running state and its changes of all others, $name', async ({ slices }) => {
    const reader = await withRunningStateInto(inMemory(UPDATE), { from, into, running })()
    const got: number[] = []
    for (const length of slices) {
      const values = new Float32Array(length)
      await reader.read(got.length, values)
      got.push(...values)
    }
    // Added to the newer parameters: 0.25, 1 and 1.5, as the node found.
    expect(got).toEqual([1, 2, 3, 0, 0.5, -2.5, 7])
    expect(reader.length).toBe(7)
  })

  it('is read from where it lies only when it has no running state', async () => {
    const inFile: OpenReader = async () => ({
      ...(await inMemory(UPDATE)()),
      file: { descriptor: 3, offset: 0 },
    })
    const bases = { from, into, running }
    const changed = await withRunningStateInto(inFile, bases)()
    expect([changed.file, changed.values]).toEqual([undefined, undefined])
    const none = withRunningStateInto(inFile, { ...bases, running: { start: 6, end: 6 } })
    expect((await none()).file).toEqual({ descriptor: 3, offset: 0 })
  })
})
