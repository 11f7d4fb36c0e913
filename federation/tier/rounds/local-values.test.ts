// Whatever a node writes where parameters stay on the nodes, merging reads zeros.
import { describe, expect, it } from 'vitest'
import { inMemory, type OpenReader } from '#federation/aggregation/reader.ts'
import { rangesOfUpdate, withoutValues } from './local-values.ts'

const counts = { parameterCount: 10, trainableCount: 8 }
const trained = { start: 2, end: 4 }
const running = { start: 8, end: 9 }

describe('the places of local parameters in an update', () => {
  it.each([
    { name: 'are those in the parameters', sections: 0, want: [trained, running] },
    {
      name: 'are in each section of trained values too, where running state has no place',
      sections: 2,
      want: [trained, running, { start: 12, end: 14 }, { start: 20, end: 22 }],
    },
  ])('$name', ({ sections, want }) => {
    expect(rangesOfUpdate([trained, running], { ...counts, sections })).toEqual(want)
  })
})

describe('an update as merging reads it', () => {
  const inFile: OpenReader = async () => ({
    ...(await inMemory(Float32Array.from({ length: 10 }, (_, i) => i + 1))()),
    file: { descriptor: 3, offset: 0 },
  })

  it.each([
    { name: 'all at once', slices: [10] },
    { name: 'in slices that cut ranges', slices: [3, 3, 3, 1] },
  ])('has zeros where parameters are local, $name', async ({ slices }) => {
    const reader = await withoutValues(inFile, [trained, running])()
    const got: number[] = []
    for (const length of slices) {
      const into = new Float32Array(length)
      await reader.read(got.length, into)
      got.push(...into)
    }
    expect(got).toEqual([1, 2, 0, 0, 5, 6, 7, 8, 0, 10])
  })

  it('is not read from its file as it is', async () => {
    expect((await withoutValues(inFile, [trained])()).file).toBeUndefined()
    expect((await withoutValues(inFile, [])()).file).toEqual({ descriptor: 3, offset: 0 })
  })
})
