/*
 * Whole trainings, step by step, against PyTorch in float64 (testdata/make_training.py): reader, compiler,
 * trainer, sample order, Dropout, padding of the last batch, optimisers, running statistics and evaluation.
 */
import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import { compileTraining } from './compile.ts'
import { TrainingConfiguration } from './configuration.ts'
import type { Constants } from './constants.ts'
import { ConstantRole, elementCount, type TrainingManifest } from './manifest.ts'
import { readModel } from './model.ts'
import { LocalTrainer } from './session.ts'

const numbers = z.array(z.number())
const Run = z.object({
  name: z.string(),
  model: z.string(),
  configuration: TrainingConfiguration,
  learningRate: z.number(),
  epochs: z.number(),
  seed: z.number(),
  noiseSeed: z.number().optional(),
  count: z.number(),
  x: numbers,
  y: numbers,
  losses: numbers,
  parameters: z.record(z.string(), numbers),
  evaluation: z.record(z.string(), z.number()),
  constants: z.partialRecord(ConstantRole, z.record(z.string(), numbers)).optional(),
})

const FILES = ['training.jsonl', 'layers.jsonl', 'transformers.jsonl']

const runs = FILES.flatMap((file) =>
  readFileSync(new URL(`testdata/${file}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => Run.parse(JSON.parse(line))),
)

describe('training', () => {
  it.each(runs)('$name follows PyTorch for every step', async (golden) => {
    const bytes = readFileSync(new URL(`testdata/${golden.model}`, import.meta.url))
    const compiled = await compileTraining(readModel(bytes), golden.configuration)
    const trainer = await LocalTrainer.load(compiled)
    const isClass = compiled.manifest.label.type === 'int32'
    const samples = {
      x: Float32Array.from(golden.x),
      y: isClass ? Int32Array.from(golden.y) : Float32Array.from(golden.y),
      count: golden.count,
    }
    const losses: number[] = []
    const result = await trainer.trainEpochs({
      parameters: new Float32Array(compiled.initialParameters.buffer),
      samples,
      epochs: golden.epochs,
      learningRate: golden.learningRate,
      seed: golden.seed,
      ...(golden.noiseSeed !== undefined && { noiseSeed: golden.noiseSeed }),
      ...(golden.constants && { constants: vectorsOf(compiled.manifest, golden.constants) }),
      onProgress: ({ loss }) => losses.push(loss),
    })
    const { metrics } = await trainer.evaluate({ parameters: result.parameters, samples })
    await trainer.close()

    expect(losses.length).toBe(golden.losses.length)
    expect(worst(losses, golden.losses)).toBeLessThan(2e-6)
    for (const { name, offset, shape } of compiled.manifest.parameters) {
      const trained = result.parameters.subarray(offset, offset + elementCount(shape))
      expect(worst([...trained], golden.parameters[name] ?? []), name).toBeLessThan(5e-5)
    }
    expect(Object.keys(metrics)).toEqual(Object.keys(golden.evaluation))
    for (const [metric, value] of Object.entries(golden.evaluation)) {
      expect(metrics).toHaveProperty(metric, expect.closeTo(value, 5))
    }
  })
})

function vectorsOf(
  { parameters }: TrainingManifest,
  constants: Partial<Record<ConstantRole, Record<string, number[]>>>,
): Constants {
  const learning = parameters.filter(({ trainable }) => trainable)
  const flat = (values: Record<string, number[]>): Float32Array =>
    Float32Array.from(learning.flatMap(({ name }) => values[name] ?? []))
  return Object.fromEntries(Object.entries(constants).map(([role, values]) => [role, flat(values)]))
}

function worst(got: readonly number[], want: readonly number[]): number {
  return Math.max(...want.map((value, index) => Math.abs((got[index] ?? NaN) - value)))
}
