// The compiler in its thread: real models through real threads.
import { readFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { readManifest } from '#federation/training/index.ts'
import { HoldoutSplit, type TrainingPlan } from '#federation/wire/generated/tributary.ts'
import { startModelCompiler } from './compiler-worker.ts'

const compiler = startModelCompiler()
afterAll(() => compiler.close())

const plan: TrainingPlan = {
  loss: 'SoftmaxCrossEntropy',
  huberDelta: 0,
  optimizer: 'SGD',
  momentum: 0.9,
  weightDecay: 0,
  beta1: 0,
  beta2: 0,
  epsilon: 0,
  aggregationStrategy: 'FedAvg',
  local: {
    epochs: 1,
    batchSize: 4,
    learningRate: 0.1,
    seed: 1,
    holdoutFraction: 0.1,
    holdoutSplit: HoldoutSplit.TAIL,
  },
}

async function mlp(): Promise<Buffer> {
  return readFile(new URL('../../federation/training/testdata/mlp.onnx', import.meta.url))
}

describe('the compiler thread', () => {
  it('admits, compiles and publishes a real model', async () => {
    const model = await mlp()
    const { parameterCount } = await compiler.admit(model)
    expect(parameterCount).toBeGreaterThan(0)
    const compiled = await compiler.compile(model, plan)
    const manifest = readManifest(JSON.parse(Buffer.from(compiled.manifest).toString()))
    expect(compiled.parameters.byteLength).toBe(4 * manifest.parameterCount)
    const parts = { model, manifest: compiled.manifest, parameters: compiled.parameters }
    const published = await compiler.publish(parts)
    expect(await compiler.admit(published)).toEqual({ parameterCount })
  })

  it('refuses what is not a model, by name and for good', async () => {
    await expect(compiler.admit(Buffer.from('not a model'))).rejects.toMatchObject({
      name: 'ModelRefused',
      reason: 'ModelNotTrainable',
    })
  })

  it('refuses a training plan that does not fit, naming the field', async () => {
    const attempt = compiler.compile(await mlp(), { ...plan, momentum: 7 })
    await expect(attempt).rejects.toMatchObject({
      reason: 'TrainingNotPossible',
      message: expect.stringContaining('momentum') as string,
    })
  })

  it('ends a job that takes too long', async () => {
    const hasty = startModelCompiler({ timeoutMs: 1 })
    await expect(hasty.admit(await mlp())).rejects.toMatchObject({ name: 'ModelRefused' })
    await hasty.close()
  })
})
