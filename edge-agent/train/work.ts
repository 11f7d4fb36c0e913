// What a participant does for an assignment: fetch the blobs, train or evaluate, send the update. Blobs are fetched
// once and kept for as long as an assignment names them; a finished update is sent, not trained again, after a restart and
// when another parent asks for it.
import { readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { DownloadRefused, downloadBlob } from '#federation/wire/download.ts'
import type {
  Blob,
  CompiledGraphs,
  EvaluateAssignment,
  LocalTraining,
  ParticipantMessage,
  TrainAssignment,
} from '#federation/wire/generated/tributary.ts'
import type { VerifiedFiles } from '#federation/wire/verified-files.ts'

import type { Work } from './assignments.ts'
import { TrainingFailure } from './failures.ts'
import type { EvaluateJob, GraphFiles, TrainJob, Trainer, TrainerProgress } from './jobs.ts'
import type { FinishedUpdate } from './outbox.ts'
import { parametersFromDelta } from './parameters.ts'
import { roundSeed, roundingSeed } from './seed.ts'
import { type SendContext, retryLogger, send, settle } from './sending.ts'
import type { StoredUpdate, UnsettledUpdates } from './unsettled.ts'

export interface WorkContext extends SendContext {
  readonly trainer: Trainer
  readonly blobFolder: string
  readonly verified: VerifiedFiles
  readonly unsettled: UnsettledUpdates
  /** Whether updates may have gone to an edge controller, which may be lost with them. */
  readonly hasMetControllers: () => boolean
  /** Sends a message that may be lost. */
  readonly say: (message: ParticipantMessage) => void
}

/** An assignment whose parts are all there and in the form that the trainer takes. */
interface Prepared {
  readonly graphs: GraphFiles
  readonly parameters: string
  readonly parametersDigest: string
  readonly training: LocalTraining
  readonly serverControl: string | undefined
}

export async function carryOut(
  context: WorkContext,
  work: Work,
  key: string,
  signal: AbortSignal,
): Promise<ParticipantMessage | undefined> {
  if (work.kind === 'evaluate') return await evaluate(context, work.value, signal)
  const campaignKey = `${context.campaign} ${key}`
  const found = await findFinished(context, work.value, campaignKey)
  const stored = found ?? (await train(context, work.value, campaignKey, signal))
  await send(context, { ...stored, neverSent: found === undefined }, signal)
  return undefined
}

/** What answers the assignment already, whoever it was trained for. */
async function findFinished(
  { outbox, unsettled }: WorkContext,
  { round, parameters }: TrainAssignment,
  key: string,
): Promise<StoredUpdate | undefined> {
  const update = await outbox.find(key)
  if (update) return { update, path: outbox.path(update) }
  return await unsettled.find(round, parameters?.digest ?? '')
}

/** Another update is about to take the place of the last one, which a parent may still ask for. */
async function keepLast({ outbox, unsettled, hasMetControllers }: WorkContext, round: number): Promise<void> {
  const last = hasMetControllers() ? await outbox.newest() : undefined
  if (!last || last.round === round || !unsettled.wants(last.round)) return
  const update = await outbox.find(last.key)
  if (update) await unsettled.keep({ update, path: outbox.path(update) })
}

async function train(
  context: WorkContext,
  assignment: TrainAssignment,
  key: string,
  signal: AbortSignal,
): Promise<StoredUpdate> {
  const { round, measureInitialLoss } = assignment
  await settle(context, signal)
  await context.state.dropPending()
  await keepLast(context, round)
  const prepared = await prepare(context, assignment, signal)
  const { training, serverControl, parametersDigest } = prepared
  const file = `${round}.update`
  const job: TrainJob = {
    kind: 'train',
    ...(await jobParts(context, prepared)),
    epochs: training.epochs,
    learningRate: training.learningRate,
    seed: roundSeed(training.seed, round, context.node),
    ...{ serverControl, measureInitialLoss },
    encoding: { transfer: assignment.transfer, seed: roundingSeed(training.seed, round, context.node) },
    stateFolder: context.state.folder,
    outputFolder: context.outbox.folder,
    outputName: file,
  }
  const report = (progress: TrainerProgress) => {
    context.say({ kind: { $case: 'progress', value: { round, ...progress } } })
  }
  const answer = await context.trainer.train(job, report, signal)
  const update: FinishedUpdate = { round, parameters: parametersDigest, key, file, ...answer }
  await context.outbox.put(update)
  context.log.info(
    { round, samples: update.samples, loss: update.loss, bytes: update.size },
    'training finished',
  )
  return { update, path: context.outbox.path(update) }
}

async function evaluate(
  context: WorkContext,
  assignment: EvaluateAssignment,
  signal: AbortSignal,
): Promise<ParticipantMessage> {
  const { round } = assignment
  // The node's own parameters are those of its last accepted update.
  await settle(context, signal)
  const prepared = await prepare(context, assignment, signal)
  const job: EvaluateJob = { kind: 'evaluate', ...(await jobParts(context, prepared)) }
  const answer = await context.trainer.evaluate(job, signal)
  const { parametersDigest } = prepared
  return { kind: { $case: 'evaluation', value: { round, parametersDigest, ...answer } } }
}

async function jobParts({ state }: WorkContext, { graphs, parameters, training }: Prepared) {
  return {
    graphs,
    parameters,
    holdoutFraction: training.holdoutFraction,
    holdoutSplit: training.holdoutSplit,
    campaignSeed: training.seed,
    state: await state.vectors(),
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
  const fetch = async (blob: Blob | undefined, field = 'delta') =>
    await fetchBlob(context, required(blob, field), signal)
  const files: GraphFiles = {
    manifest: await fetch(graphs.manifest, 'graphs.manifest'),
    trainingStep: await fetch(graphs.trainingStep, 'graphs.training_step'),
    evaluation: await fetch(graphs.evaluation, 'graphs.evaluation'),
    personal: graphs.personalManifest && {
      manifest: await fetch(graphs.personalManifest, 'graphs.personal_manifest'),
      trainingStep: await fetch(graphs.personalTrainingStep, 'graphs.personal_training_step'),
    },
  }
  const place = { blobFolder: context.blobFolder, manifest: files.manifest, fetch }
  const made = assignment.delta && (await parametersFromDelta(parameters, assignment.delta, place))
  const path = made ?? (await fetch(parameters, 'parameters'))
  const control = 'serverControl' in assignment ? assignment.serverControl : undefined
  const serverControl = control && (await fetch(control, 'server_control'))
  const { personal, ...shared } = files
  await keepOnly(context.blobFolder, [
    ...Object.values(shared),
    ...Object.values(personal ?? {}),
    path,
    ...(serverControl ? [serverControl] : []),
  ])
  return { graphs: files, parameters: path, parametersDigest: parameters.digest, training, serverControl }
}

async function fetchBlob(context: WorkContext, blob: Blob, signal: AbortSignal): Promise<string> {
  const { http, random, blobFolder, verified } = context
  try {
    return await downloadBlob(blob, blobFolder, {
      ...{ http, signal, random, verified },
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
