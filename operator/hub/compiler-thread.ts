// The compiler's thread: does one job and ends. It has no part in the hub's event loop, memory or lifetime; loading
// this module in the main thread does nothing.
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import {
  assertTrainable,
  compileTraining,
  ModelError,
  publishModel,
  readManifest,
  readModel,
  type TrainingConfigurationInput,
} from '#federation/training/index.ts'
import { updateLayout } from '#federation/tensors/layout.ts'
import { encodeParameterDelta } from '#federation/tensors/parameter-delta.ts'
import type { CompiledTraining } from './compiler.ts'
import type { CompilerJob, CompilerReply, CompilerResults } from './compiler-jobs.ts'

async function run(job: CompilerJob): Promise<CompilerResults[CompilerJob['kind']]> {
  switch (job.kind) {
    case 'admit':
      return admit(job.model)
    case 'compile':
      return compile(job.model, job.configuration)
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
async function compile(bytes: Uint8Array, configuration: string): Promise<CompiledTraining> {
  const settings = JSON.parse(configuration) as TrainingConfigurationInput
  const compiled = await compileTraining(readModel(bytes), settings)
  return {
    manifest: Buffer.from(JSON.stringify(compiled.manifest)),
    trainingStep: compiled.trainingStep,
    evaluation: compiled.evaluation,
    parameters: compiled.initialParameters,
    trainableCount: compiled.manifest.trainableCount,
    tensors: compiled.manifest.parameters.map(({ shape, trainable }) => ({ shape, trainable })),
  }
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
