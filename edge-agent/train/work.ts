// What a participant does for an assignment: fetch the blobs, train or evaluate, send the update. Blobs are fetched
// once and kept for as long as an assignment names them; a finished update is sent, not trained again, after a restart.
import { readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

import type { Logger } from 'pino'

import { DownloadRefused, downloadBlob } from '#federation/wire/download.ts'
import type {
  Blob,
  CompiledGraphs,
  EvaluateAssignment,
  LocalTraining,
  ParticipantMessage,
  TrainAssignment,
} from '#federation/wire/generated/tributary.ts'
import type { HubHttp } from '#federation/wire/http.ts'
import { uploadUpdate } from '#federation/wire/upload.ts'

import type { Work } from './assignments.ts'
import { TrainingFailure } from './failures.ts'
import type { GraphFiles, TrainJob, Trainer, TrainerProgress } from './jobs.ts'
import type { FinishedUpdate, Outbox } from './outbox.ts'
import { roundSeed } from './seed.ts'

export interface WorkContext {
  readonly campaign: string
  readonly node: string
  readonly http: HubHttp
  readonly trainer: Trainer
  readonly outbox: Outbox
  readonly blobFolder: string
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Sends a message that may be lost. */
  readonly say: (message: ParticipantMessage) => void
}

/** An assignment whose parts are all there and in the form that the trainer takes. */
interface Prepared {
  readonly graphs: GraphFiles
  readonly parameters: string
  readonly parametersDigest: string
  readonly training: LocalTraining
}

export async function carryOut(
  context: WorkContext,
  work: Work,
  key: string,
  signal: AbortSignal,
): Promise<ParticipantMessage | undefined> {
  if (work.kind === 'evaluate') return await evaluate(context, work.value, signal)
  const campaignKey = `${context.campaign} ${key}`
  const update =
    (await context.outbox.find(campaignKey)) ?? (await train(context, work.value, campaignKey, signal))
  await send(context, work.value, update, signal)
  return undefined
}

async function train(
  context: WorkContext,
  assignment: TrainAssignment,
  key: string,
  signal: AbortSignal,
): Promise<FinishedUpdate> {
  const { round } = assignment
  const prepared = await prepare(context, assignment, signal)
  const { training } = prepared
  const file = `${round}.update`
  const job: TrainJob = {
    kind: 'train',
    ...jobParts(prepared),
    epochs: training.epochs,
    learningRate: training.learningRate,
    seed: roundSeed(training.seed, round, context.node),
    outputFolder: context.outbox.folder,
    outputName: file,
  }
  const report = (progress: TrainerProgress) => {
    context.say({ kind: { $case: 'progress', value: { round, ...progress } } })
  }
  const answer = await context.trainer.train(job, report, signal)
  const update: FinishedUpdate = { key, file, ...answer }
  await context.outbox.put(update)
  context.log.info(
    { round, samples: update.samples, loss: update.loss, bytes: update.size },
    'training finished',
  )
  return update
}

async function send(
  context: WorkContext,
  assignment: TrainAssignment,
  update: FinishedUpdate,
  signal: AbortSignal,
): Promise<void> {
  const { campaign, node, http, random, log } = context
  const { round } = assignment
  const outcome = await uploadUpdate(
    {
      campaign,
      round,
      participant: node,
      path: context.outbox.path(update),
      size: update.size,
      digest: update.digest,
      samples: update.samples,
      steps: update.steps,
      loss: update.loss,
      parameters: assignment.parameters?.digest ?? '',
    },
    { http, signal, random, onRetry: retryLogger(log, 'sending the update') },
  )
  if (outcome.kind === 'refused') {
    throw new TrainingFailure('UpdateRefused', `${outcome.reason}: ${outcome.detail}`)
  }
  log.info({ round, ...outcome }, 'update answered')
}

async function evaluate(
  context: WorkContext,
  assignment: EvaluateAssignment,
  signal: AbortSignal,
): Promise<ParticipantMessage> {
  const { round } = assignment
  const prepared = await prepare(context, assignment, signal)
  const answer = await context.trainer.evaluate({ kind: 'evaluate', ...jobParts(prepared) }, signal)
  const { parametersDigest } = prepared
  return { kind: { $case: 'evaluation', value: { round, parametersDigest, ...answer } } }
}

function jobParts({ graphs, parameters, training }: Prepared) {
  return {
    graphs,
    parameters,
    holdoutFraction: training.holdoutFraction,
    holdoutSplit: training.holdoutSplit,
    campaignSeed: training.seed,
  }
}

/** Fetches what the assignment names, and removes what it doesn't. */
async function prepare(
  context: WorkContext,
  assignment: TrainAssignment | EvaluateAssignment,
  signal: AbortSignal,
): Promise<Prepared> {
  const graphs: CompiledGraphs = required(assignment.graphs, 'graphs')
  const parameters = required(assignment.parameters, 'parameters')
  const training = required(assignment.training, 'training')
  const fetch = async (blob: Blob | undefined, field: string) =>
    await fetchBlob(context, required(blob, field), signal)
  const files = {
    manifest: await fetch(graphs.manifest, 'graphs.manifest'),
    trainingStep: await fetch(graphs.trainingStep, 'graphs.training_step'),
    evaluation: await fetch(graphs.evaluation, 'graphs.evaluation'),
  }
  const path = await fetch(parameters, 'parameters')
  await keepOnly(context.blobFolder, [...Object.values(files), path])
  return { graphs: files, parameters: path, parametersDigest: parameters.digest, training }
}

async function fetchBlob(context: WorkContext, blob: Blob, signal: AbortSignal): Promise<string> {
  const { http, random, blobFolder } = context
  try {
    return await downloadBlob(blob, blobFolder, {
      http,
      signal,
      random,
      maximumFruitlessAttempts: Infinity,
      onRetry: retryLogger(context.log, 'fetching a blob'),
    })
  } catch (error) {
    if (!(error instanceof DownloadRefused)) throw error
    const reason = error.reason === 'DiskUnusable' ? 'DiskUnusable' : 'BlobRefused'
    throw new TrainingFailure(reason, error.message)
  }
}

async function keepOnly(folder: string, paths: readonly string[]): Promise<void> {
  const kept = new Set(paths.map((path) => basename(path)))
  for (const name of await readdir(folder)) {
    if (!kept.has(name)) await rm(join(folder, name), { force: true })
  }
}

function required<Value>(value: Value | undefined, field: string): Value {
  if (value !== undefined) return value
  throw new TrainingFailure('InternalError', `the hub's assignment has no ${field}`)
}

export function retryLogger(log: Logger, what: string): (error: Error, waitMs: number) => void {
  return (error, waitMs) => {
    log.warn({ error: error.message, waitMs }, `${what}: trying again`)
  }
}
