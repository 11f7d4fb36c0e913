// The compiler in its thread: real models through real threads.
import { readFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { updateLayout } from '#federation/tensors/layout.ts'
import { applyParameterDelta } from '#federation/tensors/parameter-delta.ts'
import { bytesSource } from '#federation/tensors/source.ts'
import { readManifest } from '#federation/training/index.ts'
import { startModelCompiler } from './compiler-worker.ts'

const compiler = startModelCompiler()
afterAll(() => compiler.close())

const settings = { loss: { type: 'SoftmaxCrossEntropy' }, optimizer: { type: 'SGD' }, batchSize: 4 }
const configuration = JSON.stringify(settings)

async function mlp(): Promise<Buffer> {
  return readFile(new URL('../../federation/training/testdata/mlp.onnx', import.meta.url))
}

describe('the compiler thread', () => {
  it('admits, compiles and publishes a real model', async () => {
    const model = await mlp()
    const { parameterCount } = await compiler.admit(model)
    expect(parameterCount).toBeGreaterThan(0)
    const compiled = await compiler.compile(model, { configuration })
    const manifest = readManifest(JSON.parse(Buffer.from(compiled.manifest).toString()))
    expect(compiled.parameters.byteLength).toBe(4 * manifest.parameterCount)
    const parts = { model, manifest: compiled.manifest, parameters: compiled.parameters }
    const published = await compiler.publish(parts)
    expect(await compiler.admit(published)).toEqual({ parameterCount })
  })

  it('makes a delta from which a node has the very bits', async () => {
    const [base, next] = [Float32Array.of(1, 2, 3, 4), Float32Array.of(1.5, 2, -3, 4e-40)]
    const tensors = [{ shape: [4], trainable: true }]
    const parts = { base: Buffer.from(base.buffer), next: Buffer.from(next.buffer), tensors }
    const delta = await compiler.delta(parts)
    expect(await applyParameterDelta(base, bytesSource(delta), updateLayout(tensors))).toEqual(next)
  })

  it('refuses what is not a model, by name and for good', async () => {
    await expect(compiler.admit(Buffer.from('not a model'))).rejects.toMatchObject({
      name: 'ModelRefused',
      reason: 'ModelNotTrainable',
    })
  })

  it('refuses a configuration that does not fit, naming the field', async () => {
    const wrong = { ...settings, optimizer: { type: 'SGD', momentum: 7 } }
    const attempt = compiler.compile(await mlp(), { configuration: JSON.stringify(wrong) })
    await expect(attempt).rejects.toMatchObject({
      reason: 'TrainingNotPossible',
      message: expect.stringContaining('momentum') as string,
    })
  })

  it('says where local parameters lie, and refuses a name that none has', async () => {
    const withNames = (...names: string[]) => ({
      configuration,
      personalization: JSON.stringify({ type: 'LocalParameters', names }),
    })
    const compiled = await compiler.compile(await mlp(), withNames('*bias'))
    const manifest = readManifest(JSON.parse(Buffer.from(compiled.manifest).toString()))
    const local = manifest.parameters.filter((parameter) => parameter.local)
    expect(local.map(({ initializer }) => initializer).every((name) => name.endsWith('bias'))).toBe(true)
    expect(compiled.localRanges?.map(({ start }) => start)).toEqual(local.map(({ offset }) => offset))
    expect(compiled.localRanges).not.toHaveLength(0)
    await expect(compiler.compile(await mlp(), withNames('head.*'))).rejects.toMatchObject({
      reason: 'TrainingNotPossible',
      message: expect.stringContaining('"head.*" matches no parameter; training changes "') as string,
    })
  })

  it('compiles a second model for Ditto', async () => {
    const personalization = JSON.stringify({ type: 'Ditto', lambda: 0.5 })
    const { personal } = await compiler.compile(await mlp(), { configuration, personalization })
    const manifest = readManifest(JSON.parse(Buffer.from(personal?.manifest ?? []).toString()))
    expect(manifest.objective).toEqual({ type: 'Proximal', mu: 0.5 })
    expect(personal?.trainingStep.byteLength).toBeGreaterThan(0)
  })

  it('ends a job that takes too long', async () => {
    const hasty = startModelCompiler({ timeoutMs: 1 })
    await expect(hasty.admit(await mlp())).rejects.toMatchObject({ name: 'ModelRefused' })
    await hasty.close()
  })
})
