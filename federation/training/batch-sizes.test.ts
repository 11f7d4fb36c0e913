/*
 * The same model compiled for several batch sizes: what travels, and what is kept between rounds, has one layout, so
 * that clients with different batch sizes can train together.
 */
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import type { TrainingConfigurationInput } from './configuration.ts'
import type { TrainingManifest } from './manifest.ts'
import { readModel } from './model.ts'
import { LocalTrainer } from './session.ts'
import { someNumbers } from './testdata/models.ts'

const CNN = readModel(readFileSync(new URL('testdata/cnn.onnx', import.meta.url)))

const configurations: { name: string; configuration: Omit<TrainingConfigurationInput, 'batchSize'> }[] = [
  {
    name: 'SGD with momentum',
    configuration: { loss: { type: 'SoftmaxCrossEntropy' }, optimizer: { type: 'SGD', momentum: 0.9 } },
  },
  {
    name: 'AdamW with a frozen layer, clipping and dynamic regularisation',
    configuration: {
      loss: { type: 'SoftmaxCrossEntropy' },
      optimizer: { type: 'AdamW' },
      objective: { type: 'FedDyn', alpha: 0.1 },
      gradientClipping: { type: 'Norm', maximum: 1 },
      frozen: ['0.*'],
    },
  },
]

describe('models compiled for several batch sizes', () => {
  it.each(configurations)('have one layout with $name', async ({ configuration }) => {
    const [first, ...others] = await Promise.all(
      [1, 7, 32].map((batchSize) => compileTraining(CNN, { ...configuration, batchSize })),
    )
    const layout = ({ parameters, state, constants, parameterCount, trainableCount }: TrainingManifest) => ({
      parameters: parameters.map(({ name, shape, offset, trainable }) => ({
        name,
        shape,
        offset,
        trainable,
      })),
      state: state.map(({ name, shape, initial }) => ({ name, shape, initial })),
      constants,
      counts: [parameterCount, trainableCount],
    })
    for (const other of others) {
      expect(layout(other.manifest)).toEqual(layout(first!.manifest))
      expect(other.initialParameters).toEqual(first!.initialParameters)
    }
  })

  it('go on from what another one has learned', async () => {
    const { configuration } = configurations[0]!
    const samples = {
      x: Float32Array.from(someNumbers(24 * 64)),
      y: Int32Array.from({ length: 24 }, (_, index) => index % 4),
      count: 24,
    }
    const small = await compileTraining(CNN, { ...configuration, batchSize: 5 })
    const large = await compileTraining(CNN, { ...configuration, batchSize: 24 })
    const start = new Float32Array(small.initialParameters.buffer)
    const request = { samples, epochs: 8, learningRate: 0.05, seed: 1 }
    const before = await LocalTrainer.load(small)
    const { parameters } = await before.trainEpochs({ ...request, parameters: start })
    const { metrics } = await before.evaluate({ parameters, samples })
    const trainer = await LocalTrainer.load(large)
    const second = await trainer.trainEpochs({ ...request, parameters, measureInitialLoss: true })
    expect(second.initialLoss).toBeCloseTo(metrics.loss!, 5)
    const after = await trainer.evaluate({ parameters: second.parameters, samples })
    expect(after.metrics.loss).toBeLessThan(metrics.loss!)
  })
})
