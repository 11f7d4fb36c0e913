// Trains and evaluates on the node's samples: what the training thread does for a job. The samples are read once and
// stay split the same way for the whole campaign; the compiled graphs are loaded once. Same job, same bits.
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'

import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { digestHex, digestOf } from '#federation/wire/digest.ts'
import {
  LocalTrainer,
  type Progress,
  TrainingDiverged,
  TrainingMemory,
  type TrainingManifest,
  readManifest,
} from '#federation/training/index.ts'
import { writeDurably } from '#federation/wire/durable.ts'

import type { StateVector } from './client-state.ts'
import {
  type SplitSamples,
  readDataset,
  readDatasetConfiguration,
  splitSamples,
  toSamples,
} from './dataset.ts'
import { encode } from './encoding.ts'
import { TrainingFailure } from './failures.ts'
import type {
  EvaluateAnswer,
  EvaluateJob,
  GraphFiles,
  ThreadSettings,
  TrainAnswer,
  TrainJob,
  TrainerProgress,
} from './jobs.ts'
import { type Trainers, trainLocally } from './local-training.ts'
import { ParameterFile } from './parameter-file.ts'
import { type ClientVectors, personalParameters } from './personal.ts'

interface Loaded {
  readonly key: string
  readonly trainers: Trainers
  readonly samples: SplitSamples
}

export class Workbench {
  readonly #settings: Omit<ThreadSettings, 'role'>
  readonly #parameters = new ParameterFile()
  readonly #memory = new TrainingMemory()
  #loaded: Loaded | undefined

  constructor(settings: Omit<ThreadSettings, 'role'>) {
    this.#settings = settings
  }

  async train(
    job: TrainJob,
    onProgress: (progress: TrainerProgress) => void,
    signal: AbortSignal,
  ): Promise<TrainAnswer> {
    const { trainers, samples } = await this.#load(job)
    const { manifest } = trainers.shared
    const { epochs, learningRate, seed, measureInitialLoss } = job
    const running = runningMean(samples.training.count, manifest.batchSize)
    const round = {
      parameters: await this.#parameters.read(job.parameters, manifest.parameterCount),
      samples: samples.training,
      memory: this.#memory,
      ...{ epochs, learningRate, seed, measureInitialLoss, signal },
      serverControl:
        job.serverControl === undefined
          ? undefined
          : await readVector(job.serverControl, manifest.trainableCount),
      state: await readState(job),
      onProgress: (progress: Progress) => onProgress(running(progress)),
    }
    const result = await guarded(signal, async () => trainLocally(trainers, round))
    const { update: _update, state: _state, ...facts } = result
    const { bytes, state } = await encode(result, manifest, job.encoding)
    return { ...facts, ...(await writeUpdate(job, bytes)), state: await writeState(job, state) }
  }

  async evaluate(job: EvaluateJob, signal: AbortSignal): Promise<EvaluateAnswer> {
    const { trainers, samples } = await this.#load(job)
    if (samples.heldOut.count === 0) return { samples: 0, metrics: {} }
    const { shared } = trainers
    const { manifest } = shared
    const global = await this.#parameters.read(job.parameters, manifest.parameterCount)
    const state = await readState(job)
    const result = await guarded(signal, async () => {
      const parameters = personalParameters(manifest, global, state)
      return await shared.evaluate({ parameters, samples: samples.heldOut, signal })
    })
    return { samples: result.samples, metrics: finiteMetrics(result.metrics) }
  }

  async #load(job: TrainJob | EvaluateJob): Promise<Loaded> {
    const { graphs, holdoutFraction, holdoutSplit, campaignSeed } = job
    const key = JSON.stringify([graphs, holdoutFraction, holdoutSplit, campaignSeed])
    if (this.#loaded?.key === key) return this.#loaded
    await this.#loaded?.trainers.shared.close()
    await this.#loaded?.trainers.personal?.close()
    this.#loaded = undefined
    const configuration = readDatasetConfiguration(this.#settings.dataset, this.#settings.dataFolder)
    const manifest = await readManifestFile(graphs.manifest)
    const table = await readDataset(configuration)
    const split = { fraction: holdoutFraction, kind: holdoutSplit, seed: campaignSeed }
    const samples = splitSamples(toSamples(table, manifest), split, table.path)
    this.#loaded = { key, samples, trainers: await this.#loadTrainers(graphs, manifest) }
    return this.#loaded
  }

  async #loadTrainers(graphs: GraphFiles, manifest: TrainingManifest): Promise<Trainers> {
    const shared = await this.#loadTrainer(graphs, manifest)
    const { personal } = graphs
    if (!personal) return { shared }
    const own = await readManifestFile(personal.manifest)
    return { shared, personal: await this.#loadTrainer({ ...graphs, ...personal }, own) }
  }

  async #loadTrainer(graphs: GraphFiles, manifest: TrainingManifest): Promise<LocalTrainer> {
    const { shardEntry } = this.#settings
    try {
      const [trainingStep, evaluation] = await Promise.all([
        readFile(graphs.trainingStep),
        readFile(graphs.evaluation),
      ])
      const { kernels } = loadKernels()
      const options = { kernels, ...(shardEntry !== undefined && { threadEntry: new URL(shardEntry) }) }
      return await LocalTrainer.load({ manifest, trainingStep, evaluation }, options)
    } catch (error) {
      throw graphsUnusable(error)
    }
  }
}

async function readManifestFile(path: string): Promise<TrainingManifest> {
  try {
    return readManifest(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw graphsUnusable(error)
  }
}

async function readVector(path: string, length?: number): Promise<Float32Array> {
  const bytes = await readFile(path)
  const expected = (length ?? 0) * Float32Array.BYTES_PER_ELEMENT
  if (length !== undefined && bytes.byteLength !== expected) {
    const sizes = `${basename(path)} has ${bytes.byteLength} bytes, the graphs need ${expected}`
    throw new TrainingFailure('GraphsUnusable', sizes)
  }
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

/** What uses a vector checks its length. */
async function readState({ state }: TrainJob | EvaluateJob): Promise<ClientVectors> {
  const vectors: Record<string, Float32Array> = {}
  for (const [name, path] of Object.entries(state)) vectors[name] = await readVector(path)
  return vectors
}

async function writeUpdate(
  { outputFolder, outputName }: TrainJob,
  bytes: Uint8Array,
): Promise<{ digest: string; size: number }> {
  const written = writeDurably(outputFolder, outputName, bytes)
  // The disk works while this thread does.
  const digest = digestOf(bytes)
  await written
  return { digest, size: bytes.byteLength }
}

/** The names hold digests, so that the vectors of an earlier update stay what they are. */
async function writeState({ stateFolder }: TrainJob, state: ClientVectors): Promise<StateVector[]> {
  const written: StateVector[] = []
  for (const [name, values] of Object.entries(state)) {
    const bytes = bytesOf(values)
    const digest = digestOf(bytes)
    const file = `${name}.${digestHex(digest).slice(0, 16)}`
    await writeDurably(stateFolder, file, bytes)
    written.push({ name, file, digest })
  }
  return written
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Names what went wrong while the graphs ran. */
async function guarded<Result>(signal: AbortSignal, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run()
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof TrainingFailure) throw error
    if (error instanceof TrainingDiverged) throw new TrainingFailure('TrainingDiverged', error.message)
    throw graphsUnusable(error)
  }
}

/** A metric that is not a number says nothing about the others; the hub takes finite ones only. */
function finiteMetrics(metrics: Readonly<Record<string, number>>): Record<string, number> {
  const broken = Object.entries(metrics).find(([, value]) => !Number.isFinite(value))
  if (!broken) return { ...metrics }
  throw new TrainingFailure('TrainingDiverged', `metric ${broken[0]} on the held-out samples is ${broken[1]}`)
}

/** From the loss of each step's batch to the mean over the samples seen so far. */
function runningMean(samples: number, batchSize: number): (progress: Progress) => TrainerProgress {
  const stepsAnEpoch = Math.ceil(samples / batchSize)
  let [sum, seen] = [0, 0]
  return ({ step, steps, loss }) => {
    const first = ((step - 1) % stepsAnEpoch) * batchSize
    const rows = Math.min(batchSize, samples - first)
    sum += loss * rows
    seen += rows
    return { steps: step, totalSteps: steps, loss: sum / seen }
  }
}

function graphsUnusable(error: unknown): TrainingFailure {
  return new TrainingFailure('GraphsUnusable', messageOf(error))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
