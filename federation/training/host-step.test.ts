/*
 * The optimiser's step on the host against the one in the graph: the same trainings, bit by bit, for every optimiser, with
 * padding, Dropout, running statistics, clipping and the terms of objectives, in TypeScript and compiled.
 */
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { ensureAddon } from '../aggregation/native/build.ts'
import { compiledKernels } from '../aggregation/native-kernels.ts'
import { referenceKernels } from '../aggregation/reference-kernels.ts'

import { type CompiledModel, compileTraining } from './compile.ts'
import { Optimizer, type TrainingConfigurationInput } from './configuration.ts'
import { hostStep } from './host-step.ts'
import { readModel } from './model.ts'
import type { TrainResult } from './requests.ts'
import { LocalTrainer, type TrainerOptions } from './session.ts'
import { filled, modelBytes, type ModelParts, node, someNumbers, weight, x } from './testdata/models.ts'

await ensureAddon()
const [compiledKernel] = compiledKernels()

const OPTIMIZERS: { name: string; optimizer: TrainingConfigurationInput['optimizer'] }[] = [
  { name: 'SGD with weight decay', optimizer: { type: 'SGD', weightDecay: 0.01 } },
  { name: 'SGD with momentum', optimizer: { type: 'SGD', momentum: 0.9 } },
  { name: "SGD with Nesterov's momentum", optimizer: { type: 'SGD', momentum: 0.9, nesterov: true } },
  { name: 'Adam', optimizer: { type: 'Adam' } },
  { name: 'Adam with weight decay', optimizer: { type: 'Adam', weightDecay: 0.01 } },
  { name: 'AdamW', optimizer: { type: 'AdamW' } },
  { name: 'AdamW without weight decay', optimizer: { type: 'AdamW', weightDecay: 0 } },
  { name: 'Adagrad', optimizer: { type: 'Adagrad', initialAccumulator: 0.1 } },
  { name: 'RMSProp', optimizer: { type: 'RMSProp' } },
  {
    name: 'RMSProp, centred, with momentum and weight decay',
    optimizer: { type: 'RMSProp', momentum: 0.9, centered: true, weightDecay: 0.01 },
  },
  { name: 'Yogi', optimizer: { type: 'Yogi' } },
]

/** A shared gradient: the loss changes with either bias by the same. */
const TWO_BIASES: ModelParts = {
  inputs: [x('batch', 3)],
  nodes: [
    node('MatMul', ['x', 'w'], 'h'),
    node('Add', ['h', 'b'], 'k'),
    node('Add', ['k', 'c'], 'l'),
    node('Relu', ['l'], 'y'),
  ],
  initializers: { w: filled(0.1, 3, 2), b: filled(0.2, 2), c: filled(0.3, 2) },
}

const ADAM = { loss: { type: 'SoftmaxCrossEntropy' }, optimizer: { type: 'Adam' }, batchSize: 4 } as const
const CNN = readFileSync(new URL('testdata/cnn.onnx', import.meta.url))

describe('the step on the host gives the bits of the step in the graph', () => {
  it.each(OPTIMIZERS)('$name', async ({ optimizer }) => {
    const [want, got] = await bothWays(CNN, { ...ADAM, optimizer })
    expect(got).toEqual(want)
  })

  it('but for plain SGD, whose rate the graph folds into its products', async () => {
    const [want, got] = await bothWays(CNN, { ...ADAM, optimizer: { type: 'SGD' } })
    for (const [index, value] of want.parameters.entries())
      expect(got.parameters[index]).toBeCloseTo(value, 5)
  })

  it.each<{ name: string; more: Partial<TrainingConfigurationInput> }>([
    { name: 'clipping by norm', more: { gradientClipping: { type: 'Norm', maximum: 0.1 } } },
    { name: 'clipping by value', more: { gradientClipping: { type: 'Value', maximum: 0.01 } } },
    { name: 'a proximal term', more: { objective: { type: 'Proximal', mu: 0.5 } } },
    { name: 'a frozen parameter', more: { frozen: ['*bias'] } },
  ])('with $name', async ({ more }) => {
    const [want, got] = await bothWays(CNN, { ...ADAM, ...more })
    expect(got).toEqual(want)
  })

  it('where two parameters have one gradient', async () => {
    const configuration = { ...ADAM, loss: { type: 'MeanSquaredError' } } as const
    const [want, got] = await bothWays(modelBytes(TWO_BIASES), configuration)
    expect(got).toEqual(want)
  })
})

describe('who takes the step', () => {
  it('is the graph where a call takes several steps', async () => {
    const { manifest, report } = await compileTraining(readModel(CNN), ADAM)
    expect(manifest).toMatchObject({ update: 'Graph', learningRate: 'learning_rate' })
    expect(manifest.stepsPerCall).toBeGreaterThan(1)
    expect(report.update).toBe('Graph')
  })

  it('is the host where a step takes long', async () => {
    const parts: ModelParts = {
      inputs: [x('batch', 2048)],
      nodes: [node('MatMul', ['x', 'w'], 'h'), node('MatMul', ['h', 'v'], 'y')],
      initializers: { w: filled(0.01, 2048, 1024), v: filled(0.01, 1024, 2) },
    }
    const { manifest, report } = await compileTraining(readModel(modelBytes(parts)), {
      ...ADAM,
      batchSize: 64,
    })
    expect(manifest).toMatchObject({ update: 'Host', stepsPerCall: 1, state: [] })
    expect(manifest.learningRate).toBeUndefined()
    expect(manifest.corrections).toBeUndefined()
    expect(report.elements.optimizerState).toBe(2 * manifest.trainableCount)
    expect(report.memory.optimizerState).toBe(4 * 2 * manifest.trainableCount)
  })

  it('is not the host with several steps a call', async () => {
    const wrong = { ...ADAM, update: 'Host', stepsPerCall: 2 } as const
    await expect(compileTraining(readModel(CNN), wrong)).rejects.toThrow('update Host needs stepsPerCall 1')
  })
})

it.each(['Graph', 'Host'] as const)('on two threads a training gives its bits again: %s', async (update) => {
  const parts: ModelParts = {
    inputs: [x('batch', 300)],
    nodes: [node('MatMul', ['x', 'w'], 'h'), node('Tanh', ['h'], 'k'), node('MatMul', ['k', 'v'], 'y')],
    initializers: { w: weight(300, 500), v: weight(500, 2) },
  }
  const given = { ...ADAM, update, stepsPerCall: 1, threads: 2 }
  const compiled = await compileTraining(readModel(modelBytes(parts)), given)
  const options = compiledKernel ? { kernels: compiledKernel } : {}
  const [want, ...others] = [
    await train(compiled, options),
    await train(compiled, options),
    await train(compiled, options),
  ]
  for (const other of others) expect(other).toEqual(want)
})

it('adds up the gradients of several shards by their shares', () => {
  const { program, scalars } = hostStep(Optimizer.parse({ type: 'SGD' }), 3)
  const vectors = [
    [10, 20],
    [4, 8],
    [1, 2],
    [0, 4],
  ].map((values) => Float32Array.from(values))
  referenceKernels.runElementwise(program, scalars(2, 1, [0.5, 0.25, 0.25]), vectors, 1)
  // 10 - 2 · (2 + 0.25 + 0), 20 - 2 · (4 + 0.5 + 1)
  expect(vectors[0]).toEqual(Float32Array.of(5.5, 9))
})

it("Adam's program needs two registers, Yogi's starts from its accumulator", () => {
  const adam = hostStep(Optimizer.parse({ type: 'Adam' }))
  expect(adam.state).toEqual([0, 0])
  expect(adam.program).toMatchObject({ vectors: 4, registers: 2, scalars: 4 })
  expect(hostStep(Optimizer.parse({ type: 'Yogi', initialAccumulator: 0.5 })).state).toEqual([0, 0.5])
})

async function bothWays(
  model: Uint8Array,
  configuration: TrainingConfigurationInput,
): Promise<[want: TrainResult, got: TrainResult]> {
  const inGraph = await compileTraining(readModel(model), {
    ...configuration,
    update: 'Graph',
    stepsPerCall: 1,
  })
  const onHost = await compileTraining(readModel(model), { ...configuration, update: 'Host' })
  const [want, compiled, plain] = [
    await train(inGraph, {}),
    await train(onHost, compiledKernel ? { kernels: compiledKernel } : {}),
    await train(onHost, { kernels: referenceKernels }),
  ]
  expect(want.parameters).not.toEqual(new Float32Array(inGraph.initialParameters.buffer))
  expect(plain).toEqual(compiled)
  return [want, compiled]
}

/** 26 samples: six batches of 4, and one of 2. */
async function train(
  { manifest, ...artifacts }: CompiledModel,
  options: TrainerOptions,
): Promise<TrainResult> {
  const trainer = await LocalTrainer.load({ manifest, ...artifacts }, options)
  const { input, label } = manifest
  const count = 26
  const size = (shape: readonly number[]): number => shape.slice(1).reduce((all, each) => all * each, count)
  const { classes } = label
  const y =
    classes === undefined
      ? Float32Array.from(someNumbers(size(label.shape), 3))
      : Int32Array.from({ length: count }, (_, index) => index % classes)
  const parameters = new Float32Array(artifacts.initialParameters.buffer)
  const constants =
    manifest.constants.length > 0
      ? { reference: Float32Array.from(someNumbers(manifest.trainableCount, 7)) }
      : undefined
  try {
    return await trainer.trainEpochs({
      parameters,
      samples: { x: Float32Array.from(someNumbers(size(input.shape))), y, count },
      epochs: 2,
      learningRate: 0.05,
      seed: 5,
      ...(constants && { constants }),
    })
  } finally {
    await trainer.close()
  }
}
