/*
 * A process that trains once and evaluates, and tells how many bytes of resident memory that added at most (Linux).
 *   node --expose-gc training-process.ts FOLDER
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { compileTraining } from '../compile.ts'
import { elementCount, readManifest, type TrainingManifest } from '../manifest.ts'
import { readModel } from '../model.ts'
import type { Samples } from '../samples.ts'
import { LocalTrainer, type TrainingArtifacts } from '../session.ts'
import { MLP, modelBytes } from '../testdata/models.ts'

const folder = process.argv[2] ?? ''
const file = (name: string): Uint8Array => readFileSync(path.join(folder, name))

function samplesFor({ batchSize, input, label }: TrainingManifest): Samples {
  const count = 2 * batchSize
  const size = (shape: readonly number[]): number => count * elementCount(shape.slice(1))
  return {
    x: new Float32Array(size(input.shape)).fill(0.1),
    y:
      label.type === 'int32'
        ? new Int32Array(size(label.shape))
        : new Float32Array(size(label.shape)).fill(0.2),
    count,
  }
}

async function trainOnce(
  artifacts: TrainingArtifacts,
  parameters: Float32Array,
  samples: Samples,
): Promise<void> {
  const trainer = await LocalTrainer.load(artifacts)
  await trainer.trainEpochs({ parameters, samples, epochs: 2, learningRate: 0.001, seed: 1 })
  await trainer.evaluate({ parameters, samples })
  await trainer.close()
}

/** Kilobytes in /proc/self/status. */
function status(key: string): number {
  const [, value] =
    new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(value)
}

// The first training of a process brings in the runtime's code, which no limit is about.
const first = await compileTraining(readModel(modelBytes(MLP)), {
  loss: { type: 'MeanSquaredError' },
  optimizer: { type: 'SGD' },
  batchSize: 2,
})
await trainOnce(first, new Float32Array(first.initialParameters.buffer), samplesFor(first.manifest))

const manifest = readManifest(JSON.parse(Buffer.from(file('manifest.json')).toString()))
const artifacts = { manifest, trainingStep: file('step.onnx'), evaluation: file('evaluation.onnx') }
const parameters = new Float32Array(Uint8Array.from(file('parameters.bin')).buffer)
const samples = samplesFor(manifest)
globalThis.gc?.()
const before = status('VmRSS')
writeFileSync('/proc/self/clear_refs', '5')
await trainOnce(artifacts, parameters, samples)
process.stdout.write(String((status('VmHWM') - before) * 1024))
