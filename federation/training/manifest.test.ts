import { beforeAll, describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import { readManifest, type TrainingManifest } from './manifest.ts'
import { readModel } from './model.ts'
import { MLP, modelBytes } from './testdata/models.ts'

describe('a manifest', () => {
  let manifest: TrainingManifest

  beforeAll(async () => {
    const compiled = await compileTraining(readModel(modelBytes(MLP)), {
      loss: { type: 'MeanSquaredError' },
      optimizer: { type: 'SGD' },
      batchSize: 4,
    })
    manifest = compiled.manifest
  })

  it('is read as it was written', () => {
    expect(readManifest(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest)
  })

  it('is refused when its parameters do not follow one another', () => {
    const parameters = manifest.parameters.map((parameter, index) =>
      index === 1 ? { ...parameter, offset: 13 } : parameter,
    )
    expect(() => readManifest({ ...manifest, parameters })).toThrow(/parameter b1 has offset 13, expected 12/)
  })

  it('is refused when its parameters are not as many as it says', () => {
    expect(() => readManifest({ ...manifest, parameterCount: 27 })).toThrow(
      /parameterCount is 27, its parameters have 26 elements/,
    )
  })

  it('is refused when several steps a call have no input for their number', () => {
    expect(() => readManifest({ ...manifest, steps: undefined })).toThrow(
      /stepsPerCall is 64 and steps absent; steps names an input where stepsPerCall is above 1/,
    )
    expect(() => readManifest({ ...manifest, stepsPerCall: 1 })).toThrow(/stepsPerCall is 1 and steps steps/)
  })

  it('is refused when the graph updates without a learning rate, or has one that it does not need', () => {
    expect(() => readManifest({ ...manifest, learningRate: undefined })).toThrow(
      /update is Graph and learningRate absent; learningRate names an input where the graph updates/,
    )
    expect(() => readManifest({ ...manifest, update: 'Host' })).toThrow(
      /update is Host and learningRate learning_rate/,
    )
  })

  it('of a version that knew no other updates than those in the graph is read as one with them', () => {
    expect(readManifest({ ...manifest, update: undefined })).toEqual(manifest)
  })

  it.each([
    { change: { version: 2 }, want: /version/ },
    { change: { parameters: [] }, want: /parameters/ },
    { change: { unknown: 1 }, want: /unknown/ },
  ])('is refused with $change', ({ change, want }) => {
    expect(() => readManifest({ ...manifest, ...change })).toThrow(want)
  })
})
