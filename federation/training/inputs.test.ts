/*
 * Several inputs and inputs of integers, through one row of float32 numbers a sample.
 */
import { describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import { floatTensor, int, int64Tensor, type ValueInfo } from './graph.ts'
import { readModel } from './model.ts'
import type { Samples } from './samples.ts'
import { LocalTrainer } from './session.ts'
import { modelBytes, type ModelParts, node, weight, x } from './testdata/models.ts'

/** y = (features + flag + (tokens as numbers)) · w */
const SIDE_BY_SIDE: ModelParts = {
  inputs: [input('features', 'float32', 2), input('flag', 'bool', 1), input('tokens', 'int64', 2)],
  nodes: [
    node('Cast', ['flag'], 'f', { to: int(1) }),
    node('Cast', ['tokens'], 't', { to: int(1) }),
    node('Add', ['features', 'f'], 'sum'),
    node('Add', ['sum', 't'], 'all'),
    node('MatMul', ['all', 'w'], 'y'),
  ],
  initializers: { w: weight(2, 1) },
}

function input(name: string, type: ValueInfo['type'], size: number): ValueInfo {
  return { name, type, shape: ['batch', size] }
}

async function trainerOf(parts: ModelParts): Promise<LocalTrainer> {
  const compiled = await compileTraining(readModel(modelBytes(parts)), {
    loss: { type: 'MeanSquaredError' },
    optimizer: { type: 'SGD' },
    batchSize: 2,
  })
  return LocalTrainer.load(compiled)
}

async function lossOf(trainer: LocalTrainer, samples: Samples, parameters: number[]): Promise<number> {
  const result = await trainer.evaluate({ parameters: Float32Array.from(parameters), samples })
  return result.metrics.loss ?? NaN
}

describe('several inputs', () => {
  it('are taken from one row of numbers, in their order', async () => {
    const trainer = await trainerOf(SIDE_BY_SIDE)
    expect(trainer.manifest.input).toEqual({
      name: 'samples',
      shape: [2, 5],
      type: 'float32',
      integers: [
        { first: 2, count: 1, minimum: 0, maximum: 1 },
        { first: 3, count: 2, minimum: -(2 ** 24), maximum: 2 ** 24 },
      ],
    })
    // (0.5 + 1 + 10) · 2 + (0.25 + 1 + 20) · 3
    const samples = { x: Float32Array.of(0.5, 0.25, 1, 10, 20), y: Float32Array.of(86.75 + 3), count: 1 }
    expect(await lossOf(trainer, samples, [2, 3])).toBeCloseTo(9)
    await trainer.close()
  })

  it.each([
    { x: [0.5, 0.25, 2, 10, 20], want: 'samples.x[2] is 2, expected a whole number from 0 to 1' },
    { x: [0.5, 0.25, 1, 10, 20.5], want: 'samples.x[4] is 20.5, expected a whole number from -16777216' },
  ])('refuse $want', async ({ x, want }) => {
    const trainer = await trainerOf(SIDE_BY_SIDE)
    const samples = { x: Float32Array.from(x), y: Float32Array.of(0), count: 1 }
    await expect(lossOf(trainer, samples, [2, 3])).rejects.toThrow(want)
    await trainer.close()
  })
})

describe('an input of integers', () => {
  const EMBEDDING: ModelParts = {
    inputs: [{ ...x('batch', 3), type: 'int64' }],
    nodes: [
      node('Gather', ['table', 'x'], 'rows'),
      node('ReduceSum', ['rows', 'last'], 'sums', { keepdims: int(0) }),
      node('Mul', ['sums', 'third'], 'scaled'),
      node('ReduceSum', ['scaled', 'last'], 'y'),
    ],
    initializers: { table: weight(5, 2), last: int64Tensor([-1]), third: floatTensor([1 / 3], []) },
  }

  it('can be the tokens of an embedding, which learns', async () => {
    const trainer = await trainerOf(EMBEDDING)
    const samples = { x: Float32Array.of(0, 4, 4, 1, 1, 1), y: Float32Array.of(1, 1), count: 2 }
    const parameters = new Float32Array(10)
    const request = { parameters, samples, epochs: 1, learningRate: 0.5, seed: 1 }
    const trained = await trainer.trainEpochs(request)
    // From 0, the squared error's slope is -2; each use of an element counts a third, each sample a half.
    const rows = [1, 3, 0, 0, 2].flatMap((uses) => [uses / 6, uses / 6])
    for (const [index, value] of rows.entries()) expect(trained.parameters[index]).toBeCloseTo(value, 5)
    await trainer.close()
  })

  it('adds up a token that occurs often, also with several threads', async () => {
    const count = 20_000
    const compiled = await compileTraining(
      readModel(modelBytes({ ...EMBEDDING, inputs: [{ ...x('batch', count), type: 'int64' }] })),
      { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD' }, batchSize: 1, threads: 2 },
    )
    const trainer = await LocalTrainer.load(compiled)
    const label = trainer.manifest.label.shape.at(-1) ?? 1
    const samples = { x: new Float32Array(count), y: new Float32Array(label).fill(1), count: 1 }
    const request = { parameters: new Float32Array(10), samples, epochs: 1, learningRate: 3, seed: 1 }
    for (let turn = 0; turn < 10; turn++) {
      const { parameters } = await trainer.trainEpochs(request)
      // From 0, each of the label's elements has slope -2 / label, of which each use of the token gets a third.
      const want = (request.learningRate * 2 * (count / label)) / 3
      expect((parameters[0] ?? NaN) / want).toBeCloseTo(1, 3)
    }
    await trainer.close()
  })

  it('is refused where a token has no row in the table', async () => {
    const trainer = await trainerOf(EMBEDDING)
    const samples = { x: Float32Array.of(0, 5, 4), y: Float32Array.of(1), count: 1 }
    const evaluated = trainer.evaluate({ parameters: new Float32Array(10), samples })
    await expect(evaluated).rejects.toThrow('samples.x[1] is 5, expected a whole number from -5 to 4')
    await trainer.close()
  })

  it('keeps its shape', async () => {
    const trainer = await trainerOf({
      inputs: [{ ...x('batch', 3, 1), type: 'int32' }],
      nodes: [
        node('Cast', ['x'], 'numbers', { to: int(1) }),
        node('Squeeze', ['numbers', 'last'], 'row'),
        node('MatMul', ['row', 'w'], 'y'),
      ],
      initializers: { last: int64Tensor([-1]), w: weight(3, 1) },
    })
    expect(trainer.manifest.input.shape).toEqual([2, 3, 1])
    const samples = { x: Float32Array.of(1, 2, 3), y: Float32Array.of(14), count: 1 }
    expect(await lossOf(trainer, samples, [1, 2, 3])).toBe(0)
    await trainer.close()
  })
})
