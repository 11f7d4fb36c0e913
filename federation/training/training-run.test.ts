import type { InferenceSession } from 'onnxruntime-node'
import { InferenceSession as Sessions } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'

import { referenceKernels } from '../aggregation/reference-kernels.ts'

import { compileTraining } from './compile.ts'
import { readModel } from './model.ts'
import { MLP, modelBytes, someNumbers } from './testdata/models.ts'
import { TrainingRun } from './training-run.ts'

const SAMPLES = {
  x: Float32Array.from(someNumbers(24)),
  y: Int32Array.from({ length: 8 }, (_, index) => index % 2),
  count: 8,
}

describe('a call of the training graph', () => {
  it('leaves no copies of what it wrote, and what it wrote where it is', async () => {
    const { manifest, trainingStep, initialParameters } = await compileTraining(readModel(modelBytes(MLP)), {
      loss: { type: 'SoftmaxCrossEntropy' },
      optimizer: { type: 'Adam' },
      batchSize: 4,
      stepsPerCall: 1,
    })
    const session = await Sessions.create(trainingStep)
    const given: InferenceSession.OnnxValueMapType[] = []
    const watched = {
      run: async (feeds: InferenceSession.FeedsType, fetches: InferenceSession.FetchesType) => {
        const outputs = await session.run(feeds, fetches)
        given.push(outputs)
        return outputs
      },
    } as InferenceSession
    const parameters = new Float32Array(initialParameters.buffer)
    const request = { parameters, samples: SAMPLES, epochs: 1, learningRate: 0.1, seed: 1 }
    const run = new TrainingRun(manifest, watched, request, { kernels: referenceKernels, threads: 1 })
    const order = Uint32Array.from(SAMPLES.x.subarray(0, 8), (_, index) => index)
    const steps = [...(await run.call(order, 0)), ...(await run.call(order, 4))]

    const left = given.map((outputs) =>
      names(outputs, manifest.training.loss).filter((name) => bytes(outputs[name]) > 0),
    )
    expect(given.map((outputs) => names(outputs, manifest.training.loss).length)).toEqual([12, 12])
    expect(left).toEqual([[], []])
    expect(steps.map(({ loss }) => Number.isFinite(loss))).toEqual([true, true])
    const trained = run.finish()
    expect(trained.length).toBe(parameters.length)
    expect(trained).not.toEqual(parameters)
  })
})

function names(outputs: InferenceSession.OnnxValueMapType, loss: string): string[] {
  return Object.keys(outputs).filter((name) => name !== loss)
}

function bytes(value: InferenceSession.OnnxValueMapType[string] | undefined): number {
  return value?.data instanceof Float32Array ? value.data.byteLength : NaN
}
