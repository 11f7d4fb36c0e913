/*
 * Trainings whose batches are divided among threads, against the same trainings on one thread: the same up to the order in
 * which float32 numbers are added.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { compileTraining } from '../compile.ts'
import type { TrainingConfigurationInput } from '../configuration.ts'
import { TrainingDiverged } from '../errors.ts'
import { readManifest } from '../manifest.ts'
import { readModel } from '../model.ts'
import type { TrainRequest } from '../requests.ts'
import { LocalTrainer, type TrainerOptions } from '../session.ts'
import { MLP, modelBytes, type ModelParts, node, someNumbers, weight, x } from '../testdata/models.ts'
import { Crew } from './crew.ts'

const GIVEN: TrainingConfigurationInput = {
  loss: { type: 'MeanSquaredError' },
  optimizer: { type: 'SGD', momentum: 0.9 },
  batchSize: 8,
  update: 'Host',
}

const WITH_DROPOUT: ModelParts = {
  ...MLP,
  nodes: [
    node('Gemm', ['x', 'w1', 'b1'], 'h'),
    node('Dropout', ['h'], 'd'),
    node('Gemm', ['d', 'w2', 'b2'], 'y'),
  ],
}

/** 19 samples: two batches of 8 and one of 3, which has no row for a fourth thread. */
const COUNT = 19

interface Given extends Partial<TrainingConfigurationInput> {
  request?: Partial<TrainRequest>
  options?: TrainerOptions
}

async function trained(file: Uint8Array, { request = {}, options = {}, ...more }: Given) {
  const compiled = await compileTraining(readModel(file), { ...GIVEN, ...more })
  const { manifest } = compiled
  const trainer = await LocalTrainer.load(compiled, options)
  const size = (shape: readonly number[]): number => shape.slice(1).reduce((all, each) => all * each, COUNT)
  const y = someNumbers(size(manifest.label.shape), 3)
  try {
    const result = await trainer.trainEpochs({
      parameters: new Float32Array(compiled.initialParameters.buffer),
      samples: {
        x: Float32Array.from(someNumbers(size(manifest.input.shape), 2)),
        y:
          manifest.label.type === 'int32'
            ? Int32Array.from(y, (_, index) => index % (manifest.label.classes ?? 1))
            : Float32Array.from(y),
        count: COUNT,
      },
      epochs: 2,
      learningRate: 0.01,
      seed: 1,
      ...request,
    })
    return { manifest, ...result, parameters: result.parameters.slice() }
  } finally {
    await trainer.close()
  }
}

const zoo = (name: string): Uint8Array => readFileSync(new URL(`../zoo/torch/${name}.onnx`, import.meta.url))
const classes = { loss: { type: 'SoftmaxCrossEntropy' } } as const

const SUBJECTS: { name: string; file: Uint8Array; given?: Given }[] = [
  { name: 'a dense network', file: modelBytes(MLP) },
  { name: 'a dense network with Adam', file: modelBytes(MLP), given: { optimizer: { type: 'Adam' } } },
  {
    name: 'a proximal term',
    file: modelBytes(MLP),
    given: {
      objective: { type: 'Proximal', mu: 0.5 },
      request: { constants: { reference: Float32Array.from(someNumbers(26, 7)) } },
    },
  },
  { name: 'a frozen parameter', file: modelBytes(MLP), given: { frozen: ['w1'] } },
  {
    name: 'frozen statistics',
    file: zoo('mobilenet-script'),
    given: { ...classes, frozen: ['*.running_*'] },
  },
  ...['cnn-script', 'lstm-script', 'tcn-script', 'transformer-script'].map((name) => ({
    name: `the zoo's ${name}`,
    file: zoo(name),
    given: classes,
  })),
]

describe('a training in shards is the training of whole batches', () => {
  it.each(SUBJECTS)('$name', async ({ file, given }) => {
    const want = await trained(file, { ...given })
    expect(want.manifest).toMatchObject({ threads: 1, shards: 1 })
    for (const threads of [2, 4]) {
      const got = await trained(file, { ...given, threads })
      expect(got.manifest).toMatchObject({ threads, shards: threads, batchSize: 8, update: 'Host' })
      expect(got).toMatchObject({ samples: COUNT, steps: want.steps })
      expect(got.parameters).not.toEqual(new Float32Array(got.parameters.length))
      const differences = got.parameters.map((value, index) => Math.abs(value - want.parameters[index]!))
      expect(Math.max(...differences)).toBeLessThan(5e-6)
      for (const [epoch, loss] of got.epochLosses.entries())
        expect(loss).toBeCloseTo(want.epochLosses[epoch]!, 5)
    }
  })

  it('gives its bits again, Dropout included, which follows the seed', async () => {
    const file = modelBytes(WITH_DROPOUT)
    const want = await trained(file, { threads: 3 })
    expect(await trained(file, { threads: 3 })).toEqual(want)
    const other = await trained(file, { threads: 3, request: { seed: 2 } })
    expect(other.parameters).not.toEqual(want.parameters)
  })

  it('draws other numbers for each shard', async () => {
    // Every sample is the same, so that shards differ by what Dropout keeps alone.
    const samples = { x: new Float32Array(6).fill(1), y: new Float32Array(4), count: 2 }
    const given = { threads: 2, batchSize: 2, request: { samples, epochs: 1 } }
    const losses = await Promise.all(
      [1, 2, 3, 4].map(
        async (seed) =>
          (await trained(modelBytes(WITH_DROPOUT), { ...given, request: { ...given.request, seed } })).loss,
      ),
    )
    const alone = await Promise.all(
      [1, 2, 3, 4].map(async (seed) => {
        const one = { ...samples, x: samples.x.slice(0, 3), y: samples.y.slice(0, 2), count: 1 }
        const request = { samples: one, epochs: 1, seed }
        return (await trained(modelBytes(WITH_DROPOUT), { batchSize: 1, request })).loss
      }),
    )
    // Were both the same, each loss would be that of the first shard alone.
    expect(losses).not.toEqual(alone)
  })

  it('goes on after a training that was stopped, and after one that diverged', async () => {
    const compiled = await compileTraining(readModel(modelBytes(MLP)), { ...GIVEN, threads: 2 })
    const trainer = await LocalTrainer.load(compiled)
    const parameters = new Float32Array(compiled.initialParameters.buffer)
    const samples = { x: Float32Array.from(someNumbers(24)), y: new Float32Array(16), count: 8 }
    const request = { parameters, samples, epochs: 1, learningRate: 0.01, seed: 1 }
    const want = (await trainer.trainEpochs(request)).parameters.slice()
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(trainer.trainEpochs({ ...request, signal })).rejects.toThrow('enough')
    const wild = { ...request, learningRate: 3e38, epochs: 3 }
    await expect(trainer.trainEpochs(wild)).rejects.toThrow(TrainingDiverged)
    const single = { ...request, samples: { x: samples.x.slice(0, 3), y: new Float32Array(2), count: 1 } }
    expect((await trainer.trainEpochs(single)).parameters.some(Number.isNaN)).toBe(false)
    expect((await trainer.trainEpochs(request)).parameters).toEqual(want)
    await trainer.close()
  })

  it('refuses vectors that the objective does not know', async () => {
    const constants = { serverControl: new Float32Array(26) }
    await expect(trained(modelBytes(MLP), { threads: 2, request: { constants } })).rejects.toThrow(
      'constants.serverControl was given, but objective Plain does not use it',
    )
  })
})

describe('the compiler', () => {
  const WIDE: ModelParts = {
    inputs: [x('batch', 512)],
    nodes: [node('MatMul', ['x', 'w'], 'h'), node('Tanh', ['h'], 'k'), node('MatMul', ['k', 'v'], 'y')],
    initializers: { w: weight(512, 512), v: weight(512, 2) },
  }
  const LONG = { loss: GIVEN.loss, optimizer: GIVEN.optimizer, batchSize: 256, threads: 2 }

  it('divides batches whose step is long, and counts the memory of all threads', async () => {
    const model = readModel(modelBytes(WIDE))
    const { manifest, report } = await compileTraining(model, LONG)
    expect(manifest).toMatchObject({ threads: 2, shards: 2, batchSize: 256, stepsPerCall: 1 })
    expect(manifest.input.shape).toEqual([128, 512])
    expect(report).toMatchObject({ threads: 2, shards: 2, batchSize: 256, evaluationBatchSize: 256 })
    const alone = await compileTraining(model, { ...LONG, threads: 1 })
    expect(report.memory.peak).toBeGreaterThan(alone.report.memory.peak)
  })

  it('leaves them whole where that takes more memory than it may', async () => {
    const model = readModel(modelBytes(WIDE))
    const alone = await compileTraining(model, { ...LONG, threads: 1 })
    const memoryLimitBytes = alone.report.memory.peak
    const { manifest } = await compileTraining(model, { ...LONG, memoryLimitBytes })
    expect(manifest).toMatchObject({ threads: 2, shards: 1 })
  })

  it('leaves them whole where BatchNormalization learns', async () => {
    const cnn = readModel(readFileSync(new URL('../testdata/cnn.onnx', import.meta.url)))
    const { manifest } = await compileTraining(cnn, { ...GIVEN, ...classes, threads: 2 })
    expect(manifest).toMatchObject({ threads: 2, shards: 1 })
  })

  it('makes no manifest in which the graph updates and gives a shard', async () => {
    const { manifest } = await compileTraining(readModel(modelBytes(MLP)), { ...GIVEN, update: 'Graph' })
    expect(() => readManifest({ ...manifest, shards: 2 })).toThrow(
      'shards is 2 and update Graph; several shards go with update Host',
    )
  })
})

describe('a thread that does not do its part fails the training', () => {
  const entry = (text: string): TrainerOptions => ({
    threadEntry: new URL(`data:text/javascript,${encodeURIComponent(text)}`),
  })
  const file = modelBytes(MLP)

  it('when it ends instead of beginning', async () => {
    await expect(trained(file, { threads: 2, options: entry('') })).rejects.toThrow(
      'the thread of a shard ended with code 0',
    )
  })

  it('when it ends in the middle', async () => {
    const text = `import { parentPort } from 'node:worker_threads'
      parentPort.once('message', () => process.exit(3)); parentPort.postMessage({ kind: 'ready' })`
    await expect(trained(file, { threads: 2, options: entry(text) })).rejects.toThrow(
      'the thread of a shard ended with code 3',
    )
  })

  it('when a graph cannot be loaded, and the threads that have one end', async () => {
    const { manifest } = await compileTraining(readModel(file), { ...GIVEN, threads: 2 })
    const text = `import { parentPort } from 'node:worker_threads'
      parentPort.once('message', (request) => {
        const channel = new BroadcastChannel('shards')
        channel.postMessage(request)
        channel.close()
      })
      parentPort.postMessage({ kind: 'ready' })`
    const channel = new BroadcastChannel('shards')
    const heard = once(channel, 'message') as Promise<[{ data: string }]>
    await expect(Crew.start(new Uint8Array(8), manifest, entry(text).threadEntry)).rejects.toThrow('model')
    const [{ data }] = await heard
    expect(data).toBe('close')
    channel.close()
    await expect(Crew.start(new Uint8Array(8), manifest)).rejects.toThrow('model')
  })

  it('when its graph fails', async () => {
    const text = `import { parentPort } from 'node:worker_threads'
      parentPort.on('message', (request) => {
        if (request === 'close') parentPort.close()
        else parentPort.postMessage({ kind: 'failed', error: 'no such operator' })
      })
      parentPort.postMessage({ kind: 'ready' })`
    await expect(trained(file, { threads: 2, options: entry(text) })).rejects.toThrow('no such operator')
  })
})
