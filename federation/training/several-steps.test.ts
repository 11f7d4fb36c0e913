/*
 * Several steps a call against one: the same trainings, bit by bit, whatever the number of steps, with groups that
 * are not full, padding, Dropout, running statistics and every kind of state.
 */
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import type { TrainingConfigurationInput } from './configuration.ts'
import { stepsPerCall } from './cost.ts'
import type { TrainingManifest } from './manifest.ts'
import { readModel } from './model.ts'
import type { Progress, TrainResult } from './requests.ts'
import type { Samples } from './samples.ts'
import { LocalTrainer } from './session.ts'
import { someNumbers } from './testdata/models.ts'

const SOFTMAX = { type: 'SoftmaxCrossEntropy' } as const
const MOMENTUM = { type: 'SGD', momentum: 0.9 } as const
const ADAM = { type: 'Adam', weightDecay: 0.01 } as const

const CASES: { name: string; model: string; configuration: TrainingConfigurationInput }[] = [
  {
    name: 'an MLP by SGD',
    model: 'mlp',
    configuration: { loss: SOFTMAX, optimizer: { type: 'SGD' }, batchSize: 4 },
  },
  {
    name: 'an MLP by SGD with momentum',
    model: 'mlp',
    configuration: { loss: SOFTMAX, optimizer: MOMENTUM, batchSize: 4 },
  },
  {
    name: 'a regression by Adam',
    model: 'regression',
    configuration: { loss: { type: 'Huber' }, optimizer: ADAM, batchSize: 4 },
  },
  {
    name: 'a CNN with BatchNormalization and Dropout by Adam',
    model: 'cnn',
    configuration: { loss: SOFTMAX, optimizer: ADAM, batchSize: 4 },
  },
]

describe('several steps a call', () => {
  it.each(CASES)('$name gives the same bits as one step a call', async ({ model, configuration }) => {
    const want = await train(model, { ...configuration, stepsPerCall: 1 })
    for (const steps of [2, 3, 64]) {
      const got = await train(model, { ...configuration, stepsPerCall: steps })
      expect(got.result, `${steps} steps a call`).toEqual(want.result)
      expect(got.progress).toEqual(want.progress)
    }
    expect(want.result.steps).toBe(14)
    expect(want.progress.map(({ step }) => step)).toEqual(Array.from({ length: 14 }, (_, index) => index + 1))
  })

  it('stops between two calls', async () => {
    const controller = new AbortController()
    const seen: number[] = []
    const onProgress = ({ step }: Progress): void => {
      seen.push(step)
      if (step === 4) controller.abort(new Error('the round is over'))
    }
    const [first] = CASES
    if (!first) throw new Error('unreachable: there are cases')
    const configuration = { ...first.configuration, stepsPerCall: 3 }
    await expect(train('mlp', configuration, { onProgress, signal: controller.signal })).rejects.toThrow(
      'the round is over',
    )
    expect(seen).toEqual([1, 2, 3, 4, 5, 6])
  })
})

describe('the number of steps a call', () => {
  const table = [
    { name: 'is large where a step is cheap', microseconds: 50, elements: 10, want: 64 },
    { name: 'is bounded by the time of a call', microseconds: 5000, elements: 10, want: 20 },
    {
      name: 'is bounded by the size of what differs between steps',
      microseconds: 50,
      elements: 2 ** 18,
      want: 16,
    },
    { name: 'is one where a step takes long', microseconds: 20_000, elements: 10, want: 1 },
  ]
  it.each(table)('$name', ({ microseconds, elements, want }) => {
    expect(stepsPerCall(microseconds, elements)).toBe(want)
  })
})

interface Trained {
  result: TrainResult
  progress: Progress[]
}

async function train(
  model: string,
  configuration: TrainingConfigurationInput,
  options: { onProgress?: (progress: Progress) => void; signal?: AbortSignal } = {},
): Promise<Trained> {
  const bytes = readFileSync(new URL(`testdata/${model}.onnx`, import.meta.url))
  const compiled = await compileTraining(readModel(bytes), configuration)
  expect(compiled.manifest.stepsPerCall).toBe(configuration.stepsPerCall)
  const trainer = await LocalTrainer.load(compiled)
  const progress: Progress[] = []
  try {
    const result = await trainer.trainEpochs({
      parameters: new Float32Array(compiled.initialParameters.buffer),
      samples: samplesFor(compiled.manifest),
      epochs: 2,
      learningRate: 0.05,
      seed: 5,
      onProgress: (step) => progress.push(step),
      ...options,
    })
    return { result, progress }
  } finally {
    await trainer.close()
  }
}

/** 26 samples: six batches of 4, and one of 2. */
function samplesFor({ input, label }: TrainingManifest): Samples {
  const count = 26
  const size = (shape: readonly number[]): number =>
    shape.slice(1).reduce((product, each) => product * each, count)
  const { classes } = label
  const y =
    classes === undefined
      ? Float32Array.from(someNumbers(size(label.shape), 3))
      : Int32Array.from({ length: count }, (_, index) => index % classes)
  return { x: Float32Array.from(someNumbers(size(input.shape))), y, count }
}
