/*
 * Runs a compiled model on this machine. Given the same artefacts, samples and seed, training gives the same bits.
 * Inputs are never modified. The event loop gets a turn between calls of a graph, but
 * a call, which may take many steps, blocks it: a process that must answer others meanwhile runs this in a worker
 * thread. Progress is told step by step after a call, and a signal stops training before the next one.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

import * as ort from 'onnxruntime-node'

import { referenceKernels } from '../aggregation/reference-kernels.ts'

import { fittedToMachine } from './blocked/index.ts'
import { Crew } from './data-parallel/crew.ts'
import { DataParallelRun } from './data-parallel/run.ts'
import { batchTensors, parameterTensors, type Tensors } from './feeds.ts'
import type { Metric, TrainingManifest } from './manifest.ts'
import { Random } from './random.ts'
import type {
  EvaluateRequest,
  EvaluateResult,
  EvaluationSums,
  TrainRequest,
  TrainResult,
} from './requests.ts'
import { ascending, checkSamples, fillBatch, newBatch } from './samples.ts'
import type { Run } from './run.ts'
import { sessionOptions } from './session-options.ts'
import { TrainingRun } from './training-run.ts'
import type { Host } from './training-state.ts'

export interface TrainingArtifacts {
  trainingStep: Uint8Array
  evaluation: Uint8Array
  manifest: TrainingManifest
}

export interface TrainerOptions {
  /** What takes the optimiser's step where the graph does not: compiled kernels, or, when absent, TypeScript. Same bits. */
  kernels?: Host['kernels']
  /** The module that threads start from, where this code is part of a bundle: it imports data-parallel/worker-thread.ts. */
  threadEntry?: URL
}

/** What computes gradients. */
interface Training {
  begin: (request: TrainRequest) => Run
  close: () => Promise<void>
}

const SHUFFLE_STREAM = 0

export class LocalTrainer {
  readonly manifest: TrainingManifest
  private readonly training: Training
  private readonly evaluation: ort.InferenceSession

  private constructor(manifest: TrainingManifest, training: Training, evaluation: ort.InferenceSession) {
    this.manifest = manifest
    this.training = training
    this.evaluation = evaluation
  }

  static async load(artifacts: TrainingArtifacts, options: TrainerOptions = {}): Promise<LocalTrainer> {
    const evaluation = await ort.InferenceSession.create(
      await fittedToMachine(artifacts.evaluation),
      sessionOptions(artifacts.manifest.threads),
    )
    // Last, because threads that have started would have to be ended again.
    const training = await loadTraining(artifacts, options)
    return new LocalTrainer(artifacts.manifest, training, evaluation)
  }

  async trainEpochs(request: TrainRequest): Promise<TrainResult> {
    checkTrainRequest(request, this.manifest)
    const { samples, epochs, seed } = request
    const initialLoss = request.measureInitialLoss ? (await this.evaluate(request)).metrics.loss : undefined
    const run = this.training.begin(request)
    const shuffle = new Random(seed, SHUFFLE_STREAM)
    const order = ascending(samples.count)
    const stepsAnEpoch = Math.ceil(samples.count / this.manifest.batchSize)
    const epochLosses: number[] = []
    for (let epoch = 1; epoch <= epochs; epoch++) {
      shuffle.shuffle(order)
      let lossSum = 0
      const { batchSize, stepsPerCall } = this.manifest
      for (let first = 0; first < samples.count; first += batchSize * stepsPerCall) {
        let step = run.steps
        for (const { rows, loss } of await run.call(order, first)) {
          lossSum += loss * rows
          step += 1
          request.onProgress?.({ epoch, epochs, step, steps: stepsAnEpoch * epochs, loss })
        }
        await nextTurn()
      }
      epochLosses.push(lossSum / samples.count)
    }
    const parameters = run.finish()
    return {
      parameters,
      loss: epochLosses.at(-1) ?? 0,
      epochLosses,
      ...(initialLoss !== undefined && { initialLoss }),
      samples: samples.count,
      steps: run.steps,
    }
  }

  async evaluate(request: EvaluateRequest): Promise<EvaluateResult> {
    const { manifest } = this
    checkParameters(request.parameters, manifest)
    checkSamples(request.samples, manifest)
    const batch = newBatch(manifest, manifest.evaluationBatchSize)
    const feeds: Tensors = {
      ...batchTensors(manifest, batch),
      ...parameterTensors(manifest, request.parameters, 'name'),
    }
    const sums: EvaluationSums = { loss: 0, weight: 0 }
    const order = ascending(request.samples.count)
    for (let first = 0; first < order.length; first += manifest.evaluationBatchSize) {
      request.signal?.throwIfAborted()
      fillBatch(batch, request.samples, order, first)
      addSums(sums, await this.evaluation.run(feeds), manifest)
      await nextTurn()
    }
    return { samples: request.samples.count, sums, metrics: metricsOf(sums) }
  }

  /** Frees what ONNX Runtime holds; the trainer is not usable afterwards. */
  async close(): Promise<void> {
    await this.training.close()
    await this.evaluation.release()
  }
}

async function loadTraining(
  { manifest, trainingStep }: TrainingArtifacts,
  { kernels = referenceKernels, threadEntry }: TrainerOptions,
): Promise<Training> {
  const graph = await fittedToMachine(trainingStep)
  const host = { kernels, threads: manifest.threads }
  if (manifest.shards > 1) {
    const crew = await Crew.start(graph, manifest, threadEntry)
    return {
      begin: (request) => new DataParallelRun(manifest, crew, request, host),
      close: async () => await crew.close(),
    }
  }
  const session = await ort.InferenceSession.create(graph, sessionOptions(manifest.threads))
  return {
    begin: (request) => new TrainingRun(manifest, session, request, host),
    close: async () => await session.release(),
  }
}

function checkTrainRequest(request: TrainRequest, manifest: TrainingManifest): void {
  const { epochs, learningRate } = request
  if (!Number.isInteger(epochs) || epochs < 1)
    throw new RangeError(`epochs is ${epochs}, expected at least 1`)
  if (!Number.isFinite(learningRate) || learningRate <= 0) {
    throw new RangeError(`learningRate is ${learningRate}, expected a number above 0`)
  }
  checkParameters(request.parameters, manifest)
  checkSamples(request.samples, manifest)
}

function checkParameters(parameters: Float32Array, manifest: TrainingManifest): void {
  if (parameters.length !== manifest.parameterCount) {
    throw new RangeError(`parameters has ${parameters.length} elements, expected ${manifest.parameterCount}`)
  }
}

function addSums(
  sums: EvaluationSums,
  outputs: ort.InferenceSession.ReturnType,
  manifest: TrainingManifest,
): void {
  for (const [key, output] of Object.entries(manifest.evaluation)) {
    if (output === undefined) continue
    const sum = key as keyof EvaluationSums
    sums[sum] = (sums[sum] ?? 0) + Number(outputs[output]?.data[0])
  }
}

/** The metrics that follow from sums; sums of several evaluations may be added before. */
function metricsOf(sums: EvaluationSums): Partial<Record<Metric, number>> {
  const { loss, weight, correct, absoluteError, squaredError } = sums
  return {
    loss: loss / weight,
    ...(correct !== undefined && { accuracy: correct / weight }),
    ...(absoluteError !== undefined && { meanAbsoluteError: absoluteError / weight }),
    ...(squaredError !== undefined && { meanSquaredError: squaredError / weight }),
  }
}
