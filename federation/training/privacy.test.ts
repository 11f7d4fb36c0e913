/*
 * What the golden runs of training.test.ts (DP-SGD by a loop over examples in PyTorch) do not say.
 */
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import type { TrainingConfigurationInput } from './configuration.ts'
import { readModel } from './model.ts'
import { Random } from './random.ts'
import { LocalTrainer } from './session.ts'
import { someNumbers } from './testdata/models.ts'

const CNN = readModel(readFileSync(new URL('testdata/cnn.onnx', import.meta.url)))

const SAMPLES = {
  x: Float32Array.from(someNumbers(8 * 64)),
  y: Int32Array.from({ length: 8 }, (_, index) => index % 4),
  count: 8,
}

const CONFIGURATION: TrainingConfigurationInput = {
  loss: { type: 'SoftmaxCrossEntropy' },
  optimizer: { type: 'SGD' },
  batchSize: 4,
  privacy: { clippingNorm: 0.01, noiseMultiplier: 0 },
}

async function trained(changes: Partial<TrainingConfigurationInput>, noiseSeed?: number) {
  const compiled = await compileTraining(CNN, {
    loss: { type: 'SoftmaxCrossEntropy' },
    optimizer: { type: 'SGD', momentum: 0.5 },
    batchSize: 4,
    frozen: ['*.running_*'],
    ...changes,
  })
  const trainer = await LocalTrainer.load(compiled)
  const parameters = new Float32Array(compiled.initialParameters.buffer)
  const request = { parameters, samples: SAMPLES, epochs: 2, learningRate: 0.05, seed: 1 }
  return await trainer.trainEpochs({ ...request, ...(noiseSeed !== undefined && { noiseSeed }) })
}

describe('training with privacy', () => {
  it('is plain training where nothing is clipped and no noise added, Dropout included', async () => {
    const want = await trained({})
    const got = await trained({ privacy: { clippingNorm: 1e6, noiseMultiplier: 0 } })
    expect(got.loss).toBeCloseTo(want.loss, 5)
    for (const [index, value] of want.parameters.entries())
      expect(got.parameters[index]).toBeCloseTo(value, 5)
  })

  it('moves no further than the clipped gradients let it', async () => {
    const compiled = await compileTraining(CNN, { ...CONFIGURATION, frozen: ['*.running_*'] })
    const start = new Float32Array(compiled.initialParameters.buffer)
    const { parameters } = await trained(CONFIGURATION)
    const distance = Math.hypot(...parameters.map((value, index) => value - start[index]!))
    // Four steps of a learning rate of 0.05 along gradients of a norm of 0.01 at most.
    expect(distance).toBeLessThanOrEqual(4 * 0.05 * 0.01 * 1.0001)
    expect(distance).toBeGreaterThan(0.0001)
  })

  it('gives the same bits in several steps a call, and follows the seed of the noise', async () => {
    const privacy = { clippingNorm: 0.5, noiseMultiplier: 1 }
    const one = await trained({ privacy }, 7)
    expect(await trained({ privacy, stepsPerCall: 2 }, 7)).toEqual(one)
    expect((await trained({ privacy }, 8)).parameters).not.toEqual(one.parameters)
  })

  it('needs a seed for the noise, and takes none where there is no noise', async () => {
    const privacy = { clippingNorm: 0.5, noiseMultiplier: 1 }
    await expect(trained({ privacy })).rejects.toThrow('noiseSeed is missing; the model adds noise')
    await expect(trained({}, 7)).rejects.toThrow('noiseSeed was given, but the model adds no noise')
  })

  it('refuses BatchNormalization that learns its statistics', async () => {
    const privacy = { clippingNorm: 0.5, noiseMultiplier: 1 }
    await expect(trained({ privacy, frozen: [] })).rejects.toThrow(
      /privacy does not go with BatchNormalization.*freeze its running statistics \("1.running_mean" and its like\)/,
    )
  })

  it.each([
    { privacy: { clippingNorm: 0, noiseMultiplier: 1 }, want: /privacy.clippingNorm/ },
    { privacy: { clippingNorm: 1, noiseMultiplier: -1 }, want: /privacy.noiseMultiplier/ },
    { privacy: { clippingNorm: 1 } as never, want: /privacy.noiseMultiplier/ },
  ])('is refused with $privacy', async ({ privacy, want }) => {
    await expect(trained({ privacy })).rejects.toThrow(want)
  })
})

describe('normal numbers', () => {
  it('have the moments of the normal distribution, also in an odd number', () => {
    const numbers = new Float32Array(100_001)
    new Random(5, 2).fillNormal(numbers)
    const moment = (power: number): number =>
      numbers.reduce((sum, value) => sum + value ** power, 0) / numbers.length
    expect(Math.abs(moment(1))).toBeLessThan(0.015)
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.02)
    expect(Math.abs(moment(3))).toBeLessThan(0.04)
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.12)
    expect(numbers.at(-1)).not.toBe(0)
  })
})
