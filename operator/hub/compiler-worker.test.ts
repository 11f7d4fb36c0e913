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
    const compiled = await compiler.compile(model, configuration)
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
    const attempt = compiler.compile(await mlp(), JSON.stringify(wrong))
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
