// The compiler's thread: does one job and ends. It has no part in the hub's event loop, memory or lifetime; loading
// this module in the main thread does nothing.
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import {
  assertTrainable,
  compilePersonalized,
  ModelError,
  Personalization,
  publishModel,
  readManifest,
  readModel,
  type TrainingConfigurationInput,
} from '#federation/training/index.ts'
import { updateLayout } from '#federation/tensors/layout.ts'
import { encodeParameterDelta } from '#federation/tensors/parameter-delta.ts'
import { localRanges } from '#federation/training/personalization.ts'
import type { CompiledTraining, CompileSettings } from '#federation/tier/compiler.ts'
import type { CompilerJob, CompilerReply, CompilerResults } from './compiler-jobs.ts'

async function run(job: CompilerJob): Promise<CompilerResults[CompilerJob['kind']]> {
  switch (job.kind) {
    case 'admit':
      return admit(job.model)
    case 'compile':
      return compile(job.model, job.settings)
    case 'publish':
      return publishModel(
        job.model,
        readManifest(JSON.parse(Buffer.from(job.manifest).toString('utf8'))),
        job.parameters,
      )
    case 'delta':
      return encodeParameterDelta(floats(job.base), floats(job.next), updateLayout(job.tensors))
  }
}

/** A copy: the bytes need not lie where floats may begin. */
function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer)
}

function admit(bytes: Uint8Array): CompilerResults['admit'] {
  const model = readModel(bytes)
  assertTrainable(model)
  const weights = [...model.initializers.values()].filter(({ type }) => type === 'float32')
  return { parameterCount: weights.reduce((sum, { data }) => sum + data.length, 0) }
}

/** The compiler reads the configuration with its schema and names the field that is wrong. */
async function compile(
  bytes: Uint8Array,
  { configuration, personalization }: CompileSettings,
): Promise<CompiledTraining> {
  const training = JSON.parse(configuration) as TrainingConfigurationInput
  const own = personalization === undefined ? undefined : Personalization.parse(JSON.parse(personalization))
  const { shared, personal } = await compilePersonalized(readModel(bytes), training, own)
  return {
    manifest: json(shared.manifest),
    trainingStep: shared.trainingStep,
    evaluation: shared.evaluation,
    parameters: shared.initialParameters,
    trainableCount: shared.manifest.trainableCount,
    tensors: shared.manifest.parameters.map(({ shape, trainable }) => ({ shape, trainable })),
    localRanges: localRanges(shared.manifest),
    ...(personal && {
      personal: { manifest: json(personal.manifest), trainingStep: personal.trainingStep },
    }),
  }
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}

async function answer(job: CompilerJob): Promise<CompilerReply> {
  try {
    return { ok: true, result: await run(job) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { ok: false, refused: error instanceof ModelError, message }
  }
}

if (!isMainThread) parentPort?.postMessage(await answer(workerData as CompilerJob))
