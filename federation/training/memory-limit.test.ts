/*
 * What training under a memory limit guarantees: the same results by every plan, and a process that stays below.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, it } from 'vitest'

import { compileTraining, type CompiledModel } from './compile.ts'
import { readConfiguration, type TrainingConfigurationInput } from './configuration.ts'
import { discover } from './discover.ts'
import { withLogits } from './head.ts'
import { type MemoryPlan, UNLIMITED } from './memory-plan.ts'
import { readModel } from './model.ts'
import { prepare } from './prepare.ts'
import { LocalTrainer } from './session.ts'
import { modelBytes, node, someNumbers, weight, x } from './testdata/models.ts'
import { compileStep } from './training-step.ts'

const SINGLE: MemoryPlan = { ...UNLIMITED, singleStep: true }

interface Subject {
  name: string
  file: Uint8Array
  configuration: Partial<TrainingConfigurationInput>
  classes?: number
}

const SUBJECTS: Subject[] = [
  { name: 'a chain of dense layers', file: chain({ width: 8, layers: 6 }), configuration: {} },
  {
    name: 'a CNN with Dropout and frozen statistics',
    file: readFileSync(new URL('testdata/cnn.onnx', import.meta.url)),
    configuration: { frozen: ['*.running_*'], optimizer: { type: 'Adam' } },
    classes: 4,
  },
  ...[
    'resnet-script',
    'mobilenet-script',
    'unet-script',
    'transformer-script',
    'bilstm-script',
    'tcn-script',
  ].map((name) => ({
    name: `the zoo's ${name}`,
    file: readFileSync(new URL(`zoo/torch/${name}.onnx`, import.meta.url)),
    configuration: {},
  })),
]

/** x [batch, width] → Gemm → Tanh → … → y [batch, width] */
function chain({ width, layers }: { width: number; layers: number }): Uint8Array {
  const names = Array.from({ length: layers }, (_, index) => `w${index}`)
  return modelBytes({
    inputs: [x('batch', width)],
    nodes: names.flatMap((name, index) => [
      node('MatMul', [index === 0 ? 'x' : `t${index - 1}`, name], `h${index}`),
      node('Tanh', [`h${index}`], index === layers - 1 ? 'y' : `t${index}`),
    ]),
    initializers: Object.fromEntries(names.map((name) => [name, weight(width, width)])),
  })
}

/** Nothing where no graph can be made by the plan. */
async function trainedBy(plan: MemoryPlan, { file, configuration, classes }: Subject) {
  const given: TrainingConfigurationInput = {
    loss: classes === undefined ? { type: 'MeanSquaredError' } : { type: 'SoftmaxCrossEntropy' },
    optimizer: { type: 'SGD', momentum: 0.9 },
    batchSize: 4,
    ...configuration,
  }
  const model = readModel(file)
  const compiled = await compileTraining(model, given)
  const settings = readConfiguration(given)
  const whole = prepare(model, settings.frozen)
  const discovered = await discover(whole, 4)
  const step = await compileStep(
    withLogits(whole, settings.loss, discovered.shapes),
    discovered,
    settings,
    plan,
  )
  if (!step) return undefined
  const { evaluation, manifest: asItIs, initialParameters } = compiled
  const manifest = { ...asItIs, ...step.interface }
  const trainer = await LocalTrainer.load({ trainingStep: step.bytes, evaluation, manifest })
  const sizes = [manifest.input.shape, manifest.label.shape].map((shape) =>
    shape.slice(1).reduce((product, size) => product * size, 10),
  )
  const y = someNumbers(sizes[1]!, 3)
  // Two batches, and one that is not full.
  const result = await trainer.trainEpochs({
    parameters: new Float32Array(initialParameters.buffer),
    samples: {
      x: Float32Array.from(someNumbers(sizes[0]!, 2)),
      y: classes === undefined ? Float32Array.from(y) : Int32Array.from(y, (_, index) => index % classes),
      count: 10,
    },
    epochs: 1,
    learningRate: 0.01,
    seed: 1,
  })
  await trainer.close()
  return { ...result, recomputedNodes: step.recomputedNodes }
}

describe('every plan trains the same', () => {
  it.each(SUBJECTS)('$name, to the bit where activations are computed again', async (subject) => {
    const want = await trainedBy(SINGLE, subject)
    const again = await Promise.all([2, 3].map((segments) => trainedBy({ ...SINGLE, segments }, subject)))
    expect(again.some((each) => (each?.recomputedNodes ?? 0) > 0)).toBe(true)
    for (const each of again) {
      if (!each) continue
      expect(each.epochLosses).toEqual(want!.epochLosses)
      expect(each.parameters).toEqual(want!.parameters)
    }
  })

  it.each(SUBJECTS.filter(({ name }) => !/resnet|mobilenet|unet/.test(name)))(
    '$name, within 2e-6 where the batch is trained in parts',
    async (subject) => {
      const want = await trainedBy(SINGLE, subject)
      for (const plan of [{ microBatches: 2 }, { microBatches: 4 }, { microBatches: 2, segments: 2 }]) {
        const got = await trainedBy({ ...SINGLE, ...plan }, subject)
        const worst = Math.max(
          ...got!.parameters.map((value, index) => Math.abs(value - want!.parameters[index]!)),
        )
        expect(worst).toBeLessThan(2e-6)
        expect(got!.loss).toBeCloseTo(want!.loss, 5)
      }
    },
  )
})

const CHAIN: TrainingConfigurationInput = {
  loss: { type: 'MeanSquaredError' },
  optimizer: { type: 'SGD' },
  batchSize: 4096,
}

describe('a memory limit', () => {
  const wide = readModel(chain({ width: 128, layers: 12 }))

  it('takes the first plan that stays below, and says which', async () => {
    const { report: free } = await compileTraining(wide, CHAIN)
    expect(free.plan).toEqual({ microBatches: 1, segments: 1, recomputedNodes: 0 })
    const limits = [1.1, 0.7, 0.35].map((share) => Math.floor(share * free.memory.peak))
    const reports = await Promise.all(
      limits.map(
        async (memoryLimitBytes) => (await compileTraining(wide, { ...CHAIN, memoryLimitBytes })).report,
      ),
    )
    expect(reports.map(({ plan }) => [plan.segments > 1, plan.microBatches > 1])).toEqual([
      [false, false],
      [true, false],
      [false, true],
    ])
    expect(reports.map(({ memory, plan }) => memory.peak <= plan.memoryLimitBytes!)).toEqual([
      true,
      true,
      true,
    ])
  })

  it('that no plan keeps is refused, with what it takes at least', async () => {
    await expect(
      compileTraining(wide, { ...CHAIN, batchSize: 8, memoryLimitBytes: 1_000_000 }),
    ).rejects.toThrow(
      /^memoryLimit is 1000000 bytes; training needs about \d+ at least \(.*\): raise the limit, or lower batchSize\.$/,
    )
  })

  it('says that BatchNormalization keeps a batch from being trained in parts', async () => {
    const cnn = readModel(readFileSync(new URL('testdata/cnn.onnx', import.meta.url)))
    const configuration: TrainingConfigurationInput = {
      loss: { type: 'SoftmaxCrossEntropy' },
      optimizer: { type: 'SGD' },
      batchSize: 4,
      memoryLimitBytes: 1000,
    }
    await expect(compileTraining(cnn, configuration)).rejects.toThrow(
      /BatchNormalization mixes the rows of a batch/,
    )
    await expect(compileTraining(cnn, { ...configuration, frozen: ['*.running_*'] })).rejects.toThrow(
      /the batch in 4 parts|the batch in 2 parts|the batch at once/,
    )
  })

  it.skipIf(process.platform !== 'linux')('is kept by the process that trains', async () => {
    const free = await compileTraining(wide, CHAIN)
    const memoryLimitBytes = Math.floor(0.7 * free.report.memory.peak)
    const limited = await compileTraining(wide, { ...CHAIN, memoryLimitBytes })
    expect(limited.report.plan).toMatchObject({
      microBatches: 1,
      recomputedNodes: expect.any(Number) as number,
    })
    // 12 layers of 4096 x 128 values of 4 bytes are 24 MiB once; a backward pass has them more than once.
    expect(grownBy(free)).toBeGreaterThan(memoryLimitBytes)
    expect(grownBy(limited)).toBeLessThan(memoryLimitBytes)
  })

  it.skipIf(process.platform !== 'linux')('counts what further threads take', async () => {
    const { manifest, ...compiled } = await compileTraining(wide, { ...CHAIN, threads: 4 })
    expect(manifest.shards).toBe(4)
    expect(grownBy({ manifest, ...compiled })).toBeLessThan(compiled.report.memory.peak)
  })
})

/** Bytes that training adds at most to the resident memory of a process. */
function grownBy({ manifest, trainingStep, evaluation, initialParameters }: CompiledModel): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'tributary-memory-'))
  try {
    const files = {
      'step.onnx': trainingStep,
      'evaluation.onnx': evaluation,
      'parameters.bin': initialParameters,
    }
    for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(folder, name), bytes)
    writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest))
    const entry = fileURLToPath(new URL('testing/training-process.ts', import.meta.url))
    return Number(
      execFileSync(process.execPath, ['--expose-gc', entry, folder], { timeout: 25_000 }).toString(),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}
