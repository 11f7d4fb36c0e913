import { describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import type { TrainingConfigurationInput } from './configuration.ts'
import { TrainingDiverged } from './errors.ts'
import { TrainingMemory } from './memory.ts'
import { readModel } from './model.ts'
import type { TrainRequest } from './requests.ts'
import { LocalTrainer } from './session.ts'
import { filled, MLP, modelBytes, type ModelParts, node, someNumbers, x } from './testdata/models.ts'

const CLASSIFIER: TrainingConfigurationInput = {
  loss: { type: 'SoftmaxCrossEntropy' },
  optimizer: { type: 'SGD', momentum: 0.9 },
  batchSize: 4,
}

const SAMPLES = {
  x: Float32Array.from(someNumbers(30)),
  y: Int32Array.from({ length: 10 }, (_, index) => index % 2),
  count: 10,
}

async function prepared(configuration: Partial<TrainingConfigurationInput> = {}, parts: ModelParts = MLP) {
  const compiled = await compileTraining(readModel(modelBytes(parts)), { ...CLASSIFIER, ...configuration })
  const parameters = new Float32Array(compiled.initialParameters.buffer)
  const trainer = await LocalTrainer.load(compiled)
  const request: TrainRequest = { parameters, samples: SAMPLES, epochs: 3, learningRate: 0.1, seed: 1 }
  return { trainer, parameters, request, manifest: compiled.manifest }
}

describe('training', () => {
  it('gives the same bits for the same input, and leaves its input alone', async () => {
    const { trainer, parameters, request } = await prepared()
    const before = Float32Array.from(parameters)
    const first = await trainer.trainEpochs(request)
    const second = await trainer.trainEpochs(request)
    expect(second).toEqual(first)
    expect(parameters).toEqual(before)
    expect(first.parameters).not.toEqual(before)
    expect(first).toMatchObject({ samples: 10, steps: 9 })
  })

  it.each(['SGD', 'Adam'] as const)(
    'gives the same bits in the memory of an earlier training: %s',
    async (type) => {
      const { trainer, request } = await prepared({ optimizer: { type } })
      const fresh = await trainer.trainEpochs(request)
      const kept = { ...request, memory: new TrainingMemory() }
      const { parameters } = await trainer.trainEpochs(kept)
      parameters.fill(NaN)
      const again = await trainer.trainEpochs(kept)
      expect(again).toEqual(fresh)
      expect(again.parameters).toBe(parameters)
    },
  )

  it('adds up the gradients of every use of a value', async () => {
    const parts: ModelParts = {
      inputs: [x('batch', 1)],
      nodes: [node('Mul', ['x', 'w'], 'h'), node('Mul', ['h', 'w'], 'k'), node('Add', ['k', 'h'], 'y')],
      initializers: { w: filled(2, 1) },
    }
    const { trainer, request } = await prepared(
      { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD' }, batchSize: 1 },
      parts,
    )
    const samples = { x: Float32Array.of(3), y: Float32Array.of(0), count: 1 }
    const { parameters } = await trainer.trainEpochs({ ...request, samples, epochs: 1, learningRate: 0.001 })
    // y = x·w² + x·w = 18, and the gradient of y² is 2·y·(2·x·w + x) = 540.
    expect(parameters[0]).toBeCloseTo(2 - 0.54, 5)
  })

  it('depends on the seed', async () => {
    const { trainer, request } = await prepared()
    const first = await trainer.trainEpochs(request)
    const second = await trainer.trainEpochs({ ...request, seed: 2 })
    expect(second.parameters).not.toEqual(first.parameters)
  })

  it('counts padding rows for nothing', async () => {
    const small = await prepared({ batchSize: 10 })
    const padded = await prepared({ batchSize: 64 })
    const want = await small.trainer.trainEpochs(small.request)
    const got = await padded.trainer.trainEpochs(padded.request)
    for (const [index, value] of want.parameters.entries())
      expect(got.parameters[index]).toBeCloseTo(value, 5)
  })

  it('tells the loss that it started from where that is wanted, and changes nothing by it', async () => {
    const { trainer, parameters, request } = await prepared()
    const { metrics } = await trainer.evaluate({ parameters, samples: SAMPLES })
    const measured = await trainer.trainEpochs({ ...request, measureInitialLoss: true })
    expect(measured.initialLoss).toBe(metrics.loss)
    expect(metrics.loss).toBeGreaterThan(measured.loss)
    const { initialLoss: _, ...rest } = measured
    expect(rest).toEqual(await trainer.trainEpochs(request))
  })

  it('reports every step', async () => {
    const { trainer, request } = await prepared()
    const seen: string[] = []
    await trainer.trainEpochs({
      ...request,
      epochs: 2,
      onProgress: ({ epoch, epochs, step, steps }) => seen.push(`${epoch}/${epochs} ${step}/${steps}`),
    })
    expect(seen).toEqual(['1/2 1/6', '1/2 2/6', '1/2 3/6', '2/2 4/6', '2/2 5/6', '2/2 6/6'])
  })

  it('stops when it is told to', async () => {
    const { trainer, request } = await prepared()
    const controller = new AbortController()
    const onProgress = ({ step }: { step: number }): void => {
      if (step === 2) controller.abort(new Error('the round is over'))
    }
    await expect(trainer.trainEpochs({ ...request, onProgress, signal: controller.signal })).rejects.toThrow(
      'the round is over',
    )
  })

  it('says at which step it diverged', async () => {
    const { trainer, request } = await prepared({ loss: { type: 'MeanSquaredError' } })
    const samples = { ...SAMPLES, y: Float32Array.from(someNumbers(20)) }
    const diverging = trainer.trainEpochs({ ...request, samples, epochs: 200, learningRate: 1e10 })
    await expect(diverging).rejects.toThrow(TrainingDiverged)
    await expect(diverging).rejects.toThrow(/diverged at step \d+: the loss is (NaN|Infinity)/)
  })

  it('does not answer with parameters that are not finite', async () => {
    const { trainer, request } = await prepared({ loss: { type: 'MeanSquaredError' }, batchSize: 10 })
    const samples = { ...SAMPLES, y: new Float32Array(20).fill(1000) }
    await expect(trainer.trainEpochs({ ...request, samples, epochs: 1, learningRate: 3e38 })).rejects.toThrow(
      /diverged at step 1: parameter .* is not finite/,
    )
  })
})

describe('Dropout', () => {
  const parts: ModelParts = {
    nodes: [
      node('Gemm', ['x', 'w1', 'b1'], 'h'),
      node('Dropout', ['h'], 'd'),
      node('Gemm', ['d', 'w2', 'b2'], 'y'),
    ],
    initializers: { ...MLP.initializers },
  }

  it('follows the seed in training and is off in evaluation', async () => {
    const { trainer, parameters, request } = await prepared({ batchSize: 10 }, parts)
    const first = await trainer.trainEpochs(request)
    expect(await trainer.trainEpochs(request)).toEqual(first)
    const other = await trainer.trainEpochs({ ...request, seed: 2 })
    // One batch holds everything, so only Dropout makes the difference.
    expect(Math.abs(other.loss - first.loss)).toBeGreaterThan(1e-3)

    const plain = await prepared(
      { batchSize: 10 },
      { ...parts, nodes: parts.nodes.map((n) => (n.op === 'Dropout' ? node('Identity', ['h'], 'd') : n)) },
    )
    const want = await plain.trainer.evaluate({ parameters, samples: SAMPLES })
    expect(await trainer.evaluate({ parameters, samples: SAMPLES })).toEqual(want)
  })
})

describe('evaluation', () => {
  it('does not depend on how samples are cut into batches', async () => {
    const whole = await prepared({ evaluationBatchSize: 10 })
    const cut = await prepared({ evaluationBatchSize: 3 })
    const { parameters } = whole
    const want = await whole.trainer.evaluate({ parameters, samples: SAMPLES })
    const got = await cut.trainer.evaluate({ parameters, samples: SAMPLES })
    expect(got.sums.weight).toBe(10)
    expect(got.sums.correct).toBe(want.sums.correct)
    expect(got.metrics.loss).toBeCloseTo(want.metrics.loss ?? NaN, 6)
  })

  it('measures errors exactly', async () => {
    const parts: ModelParts = {
      inputs: [x('batch', 1)],
      nodes: [node('Mul', ['x', 'w'], 'y')],
      initializers: { w: filled(2, 1) },
    }
    const { trainer, parameters } = await prepared({ loss: { type: 'Huber', delta: 1 } }, parts)
    const samples = { x: Float32Array.of(1, 2, 3), y: Float32Array.of(2, 3.5, 9), count: 3 }
    const { sums, metrics } = await trainer.evaluate({ parameters, samples })
    // Errors 0, 0.5, -3: Huber 0, 0.125, 2.5.
    expect(sums).toEqual({ loss: 2.625, weight: 3, absoluteError: 3.5, squaredError: 9.25 })
    expect(metrics.meanAbsoluteError).toBeCloseTo(3.5 / 3)
  })
})

describe('a request is refused', () => {
  const table: { name: string; change: Partial<TrainRequest>; want: RegExp }[] = [
    {
      name: 'with a wrong number of parameters',
      change: { parameters: new Float32Array(3) },
      want: /has 3 elements, expected 26/,
    },
    { name: 'without samples', change: { samples: { ...SAMPLES, count: 0 } }, want: /samples.count is 0/ },
    {
      name: 'with x of another size',
      change: { samples: { ...SAMPLES, count: 9 } },
      want: /samples.x has 30 elements, expected 27/,
    },
    {
      name: 'with a class that does not exist',
      change: { samples: { ...SAMPLES, y: Int32Array.from({ length: 10 }, () => 2) } },
      want: /samples.y\[0\] is 2, expected a class from 0 to 1/,
    },
    {
      name: 'with a value that is not a number',
      change: { samples: { ...SAMPLES, x: SAMPLES.x.with(7, NaN) } },
      want: /samples.x\[7\] is NaN, expected finite numbers/,
    },
    {
      name: 'with labels of the other type',
      change: { samples: { ...SAMPLES, y: new Float32Array(10) } },
      want: /Float32Array, expected int32 labels/,
    },
    { name: 'without epochs', change: { epochs: 0 }, want: /epochs is 0/ },
    { name: 'with a learning rate of 0', change: { learningRate: 0 }, want: /learningRate is 0/ },
  ]
  it.each(table)('$name', async ({ change, want }) => {
    const { trainer, request } = await prepared()
    await expect(trainer.trainEpochs({ ...request, ...change })).rejects.toThrow(want)
  })
})
