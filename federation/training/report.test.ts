import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import type { TrainingConfigurationInput } from './configuration.ts'
import { int } from './graph.ts'
import { readModel } from './model.ts'
import { MLP, modelBytes, node, x } from './testdata/models.ts'

const ADAM: TrainingConfigurationInput = {
  loss: { type: 'MeanSquaredError' },
  optimizer: { type: 'Adam' },
  objective: { type: 'Proximal', mu: 1 },
  batchSize: 4,
  evaluationBatchSize: 9,
}

async function reportOf(bytes: Uint8Array, configuration: Partial<TrainingConfigurationInput> = {}) {
  const compiled = await compileTraining(readModel(bytes), { ...ADAM, ...configuration })
  return { ...compiled, report: compiled.report }
}

describe('the compile report', () => {
  it('counts operators in the model and in both graphs', async () => {
    const { report, evaluation } = await reportOf(modelBytes(MLP))
    const gemm = report.operators.find(({ operator }) => operator === 'Gemm')
    expect(gemm).toMatchObject({ model: 2, evaluation: 2 })
    expect(gemm?.trainingStep).toBeGreaterThanOrEqual(5)
    expect(report.operators.find(({ operator }) => operator === 'Sqrt')).toMatchObject({
      model: 0,
      evaluation: 0,
    })
    expect(report.nodes).toMatchObject({
      model: 3,
      folded: 0,
      evaluation: readModel(evaluation).nodes.length,
    })
    const counted = report.operators.reduce((sum, { trainingStep }) => sum + trainingStep, 0)
    expect(counted).toBe(report.nodes.trainingStep)
  })

  it('says of each parameter what becomes of it', async () => {
    const { report } = await reportOf(modelBytes(MLP), { frozen: ['*1'] })
    expect(report.parameters).toEqual([
      { name: 'w2', shape: [4, 2], kind: 'trained' },
      { name: 'b2', shape: [2], kind: 'trained' },
      { name: 'w1', shape: [3, 4], kind: 'frozen' },
      { name: 'b1', shape: [4], kind: 'frozen' },
    ])
    expect(report.elements).toEqual({ trained: 10, state: 0, frozen: 16, optimizerState: 20, constants: 10 })
    expect(report.memory).toMatchObject({ parameters: 80, optimizerState: 160 })
  })

  it('tells running state from what learns', async () => {
    const bytes = readFileSync(new URL('testdata/cnn.onnx', import.meta.url))
    const { report } = await reportOf(bytes, { loss: { type: 'SoftmaxCrossEntropy' } })
    const state = report.parameters.filter(({ kind }) => kind === 'state').map(({ shape }) => shape)
    expect(state).toEqual([[6], [6], [10], [10]])
    expect(report.elements.state).toBe(32)
    // 3x3 convolutions over 8x8 and 4x4 positions, then 40 x 4.
    expect(report.multiplyAddsPerSample).toBe(6 * 64 * 9 + 10 * 16 * 6 * 9 + 40 * 4)
  })

  it('measures what a step holds and multiplies', async () => {
    const { report, trainingStep, evaluation } = await reportOf(modelBytes(MLP), { stepsPerCall: 8 })
    // 4 rows of h [4], r [4] and y [2].
    expect(report.memory.values).toBe(4 * 10 * 4)
    expect(report.multiplyAddsPerSample).toBe(3 * 4 + 4 * 2)
    expect(report.files).toEqual({ trainingStep: trainingStep.length, evaluation: evaluation.length })
    expect(report).toMatchObject({ batchSize: 4, evaluationBatchSize: 9, stepsPerCall: 8 })
  })

  it('estimates what training takes, which grows with the batch', async () => {
    const [small, large] = await Promise.all(
      [4, 40_000].map(async (batchSize) => (await reportOf(modelBytes(MLP), { batchSize })).report.memory),
    )
    // In the backward pass h or r [4] and the gradients of y [2] and r [4] are there together, at the least.
    expect(large!.peak - small!.peak).toBeGreaterThanOrEqual(39_996 * 10 * 4)
    // No more than twice all values of a forward and a backward pass.
    expect(large!.peak - small!.peak).toBeLessThan(2 * 40_000 * 40 * 4)
  })

  it('estimates it with privacy too, whose values are those of one example', async () => {
    const { report } = await reportOf(modelBytes(MLP), {
      batchSize: 40_000,
      privacy: { clippingNorm: 1, noiseMultiplier: 0 },
    })
    const { report: plain } = await reportOf(modelBytes(MLP), { batchSize: 40_000 })
    expect(report.memory.peak).toBeLessThan(plain.memory.peak)
  })

  it('counts what was computed once, or is not used', async () => {
    const { report } = await reportOf(
      modelBytes({
        ...MLP,
        inputs: [x('batch', 3)],
        nodes: [
          ...MLP.nodes.slice(0, 2),
          node('Gemm', ['r', 'w2', 'b2'], 'z'),
          node('Shape', ['z'], 'size'),
          node('Reshape', ['z', 'size'], 'y'),
          node('Softmax', ['z'], 'unused', { axis: int(1) }),
        ],
      }),
    )
    expect(report.nodes).toMatchObject({ model: 6, folded: 2 })
  })
})
