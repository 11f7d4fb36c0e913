// What stays on a node, by name, and the second model of Ditto.
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import type { TrainingConfigurationInput } from './configuration.ts'
import { readManifest, type TrainingManifest } from './manifest.ts'
import { readModel } from './model.ts'
import { clearRanges, compilePersonalized, localRanges, Personalization } from './personalization.ts'

const model = readModel(readFileSync(new URL('testdata/regression.onnx', import.meta.url)))
const configuration: TrainingConfigurationInput = {
  loss: { type: 'MeanSquaredError' },
  optimizer: { type: 'SGD' },
  batchSize: 8,
}

async function manifestWith(...names: string[]): Promise<TrainingManifest> {
  const personalization: Personalization = { type: 'LocalParameters', names }
  const { shared } = await compilePersonalized(model, configuration, personalization)
  return readManifest(JSON.parse(JSON.stringify(shared.manifest)))
}

describe('local parameters', () => {
  it.each([
    { name: 'one by its name', names: ['0.bias'], want: [{ start: 40, end: 50 }] },
    {
      name: 'a layer by a pattern',
      names: ['2.*'],
      want: [
        { start: 50, end: 70 },
        { start: 70, end: 72 },
      ],
    },
    {
      name: 'several, whatever their order',
      names: ['2.bias', '0.b*'],
      want: [
        { start: 40, end: 50 },
        { start: 70, end: 72 },
      ],
    },
  ])('are $name', async ({ names, want }) => {
    expect(localRanges(await manifestWith(...names))).toEqual(want)
  })

  it('are none without personalisation', async () => {
    const { shared, personal } = await compilePersonalized(model, configuration)
    expect(localRanges(shared.manifest)).toEqual([])
    expect(personal).toBeUndefined()
  })

  it.each([
    {
      name: 'match nothing',
      names: ['2.*', 'head.*'],
      says: 'localParameters: "head.*" matches no parameter; training changes "0.weight", "0.bias", "2.weight", "2.bias"',
    },
    {
      name: 'would leave nothing to merge',
      names: ['*'],
      says: 'every parameter that learns would stay on the node; none is left to merge',
    },
  ])('are refused when they $name', async ({ names, says }) => {
    await expect(manifestWith(...names)).rejects.toThrow(says)
  })

  it('are refused when the name is frozen and so does not change at all', async () => {
    const frozen = { ...configuration, frozen: ['2.*'] }
    const attempt = compilePersonalized(model, frozen, { type: 'LocalParameters', names: ['2.bias'] })
    await expect(attempt).rejects.toThrow(
      '"2.bias" matches no parameter; training changes "0.weight", "0.bias"',
    )
  })
})

describe("Ditto's model", () => {
  it('has the layout of the global one and the proximal term, whatever objective that has', async () => {
    const withObjective = { ...configuration, objective: { type: 'Scaffold' as const } }
    const { shared, personal } = await compilePersonalized(model, withObjective, {
      type: 'Ditto',
      lambda: 0.5,
    })
    expect(shared.manifest.objective).toEqual({ type: 'Scaffold' })
    expect(personal?.manifest.objective).toEqual({ type: 'Proximal', mu: 0.5 })
    const layoutOf = ({ parameters }: TrainingManifest) =>
      parameters.map(({ name, offset, shape }) => ({ name, offset, shape }))
    expect(personal && layoutOf(personal.manifest)).toEqual(layoutOf(shared.manifest))
    expect(personal?.evaluation).toEqual(shared.evaluation)
  })
})

describe('a personalisation', () => {
  it.each([
    { name: 'no strength of the pull', value: { type: 'Ditto' }, at: ['lambda'] },
    { name: 'a pull of 0', value: { type: 'Ditto', lambda: 0 }, at: ['lambda'] },
    { name: 'no names', value: { type: 'LocalParameters', names: [] }, at: ['names'] },
    { name: 'a field that it does not have', value: { type: 'Ditto', lambda: 1, mu: 1 }, at: [] },
  ])('is refused with $name', ({ value, at }) => {
    const { error } = Personalization.safeParse(value)
    expect(error?.issues.map(({ path }) => path)).toEqual([at])
  })
})

describe('clearing ranges', () => {
  const ranges = [
    { start: 1, end: 3 },
    { start: 5, end: 6 },
  ]
  it.each([
    { name: 'a whole vector', start: 0, length: 7, want: [1, 0, 0, 1, 1, 0, 1] },
    { name: 'a slice that begins within a range', start: 2, length: 3, want: [0, 1, 1] },
    { name: 'a slice that ends within a range', start: 0, length: 2, want: [1, 0] },
    { name: 'a slice between ranges', start: 3, length: 2, want: [1, 1] },
    { name: 'a slice within a range', start: 5, length: 1, want: [0] },
  ])('leaves the rest of $name', ({ start, length, want }) => {
    const values = new Float32Array(length).fill(1)
    clearRanges(values, ranges, start)
    expect([...values]).toEqual(want)
  })
})
