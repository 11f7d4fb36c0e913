// The root of the tree: compiles a campaign's graphs, opens the rounds that are planned, and merges what they committed into the
// parameters of the next.
import type { Logger } from 'pino'
import type { Kernels } from '#federation/aggregation/kernels.ts'
import type { Clock } from '../clock.ts'
import { ModelRefused, type CompiledTraining, type ModelCompiler } from '../compiler.ts'
import { transferOf } from '../plans.ts'
import type { HubMetrics } from '../serving/metrics.ts'
import { orAborted } from '../sleep.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { AttemptRecord, ResultRecord, StartRecord } from '../store/records.ts'
import type { SpareFiles } from '../store/spares.ts'
import type { Campaign } from './campaign.ts'
import { deltaBetween } from './delta.ts'
import { evaluatorsOf } from './evaluators.ts'
import { mergeRound, type Merged } from './merging.ts'
import { attemptToOpen } from './opening.ts'
import type { Round } from './round.ts'
import { dropMergedBytes } from './spool.ts'
import type { Stages } from './stages.ts'

export interface RootContext {
  readonly blobs: BlobStore
  readonly spares: SpareFiles
  readonly compiler: ModelCompiler
  readonly kernels: Kernels
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: HubMetrics
  /** The newest version of a model once it is admitted. */
  readonly latestVersion: (modelUid: string) => { version: number; digest: string } | undefined
}

export class RootStages implements Stages {
  readonly #context: RootContext

  constructor(context: RootContext) {
    this.#context = context
  }

  async prepare(campaign: Campaign): Promise<void> {
    const base = this.#context.latestVersion(campaign.plan.modelUid)
    if (campaign.start || campaign.failure || campaign.plan.finished || !base) return
    const { blobs } = this.#context
    const compiled = await this.#compile(campaign, await blobs.read(base.digest))
    if (compiled) {
      await blobs.hold(async () => {
        const record = {
          baseVersion: base.version,
          baseDigest: base.digest,
          graphs: await putGraphs(blobs, compiled),
          parameters: await blobs.put(compiled.parameters),
          trainableCount: compiled.trainableCount,
          tensors: [...compiled.tensors],
          localRanges: [...(compiled.localRanges ?? [])],
        }
        await campaign.locked(() => campaign.saveStart(record))
      })
    }
    campaign.changed()
  }

  attemptToOpen(campaign: Campaign, nowMs: number): AttemptRecord | undefined {
    return attemptToOpen(campaign, nowMs)
  }

  async afterCommit(campaign: Campaign, round: Round): Promise<boolean> {
    const { blobs, kernels, metrics, clock, logger, spares } = this.#context
    const stopTimer = metrics.mergeSeconds.startTimer()
    try {
      await blobs.hold(async () => {
        const merged = await mergeRound(campaign, round, { blobs, kernels })
        const delta = await this.#deltaTo(campaign, merged, round)
        const result = { ...merged, ...(delta && { delta }) }
        await campaign.locked(() => recordResult(campaign, round, { ...result, mergedMs: clock.now() }))
      })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      // The same updates would give the same numbers again.
      logger.warn({ err: error, campaign: campaign.uid, round: round.number }, 'the merge diverged')
      await campaign.locked(() => campaign.saveFailure({ reason: 'MergeDiverged', message: error.message }))
      return true
    }
    stopTimer()
    await dropMergedBytes(campaign, round, spares)
    return true
  }

  /** Undefined when it cannot be done: trying again with the same model and plan would end the same way. */
  async #compile(campaign: Campaign, model: Uint8Array): Promise<CompiledTraining | undefined> {
    const { training: configuration, personalization } = campaign.plan.training
    try {
      return await orAborted(
        this.#context.compiler.compile(model, { configuration, personalization }),
        campaign.signal,
      )
    } catch (error) {
      campaign.signal.throwIfAborted()
      this.#context.logger.warn({ err: error, campaign: campaign.uid }, 'training does not compile')
      const message = error instanceof Error ? error.message : String(error)
      const reason = error instanceof ModelRefused ? error.reason : 'CompilerFailed'
      await campaign.locked(() => campaign.saveFailure({ reason, message }))
      return undefined
    }
  }

  /** Never the reason that a round does not go on. */
  async #deltaTo(
    { uid, plan, start, signal }: Campaign,
    { parameters }: Merged,
    round: Round,
  ): Promise<ResultRecord['delta']> {
    if (!start || transferOf(plan.training).download.type === 'Full') return undefined
    const context = { ...this.#context, tensors: start.tensors }
    try {
      return await orAborted(deltaBetween(round.attempt.base, parameters, context), signal)
    } catch (error) {
      signal.throwIfAborted()
      const where = { err: error, campaign: uid, round: round.number }
      this.#context.logger.warn(where, 'no delta of the parameters is offered')
      return undefined
    }
  }
}

async function recordResult(
  campaign: Campaign,
  round: Round,
  merged: Merged & Pick<ResultRecord, 'delta' | 'mergedMs'>,
): Promise<void> {
  const evaluators = evaluatorsOf(campaign, round)
  const evaluationDeadlineMs = merged.mergedMs + campaign.plan.evaluationDeadlineSeconds * 1000
  await round.save('result', { ...merged, evaluationDeadlineMs, evaluators })
}

async function putGraphs(
  blobs: BlobStore,
  { manifest, trainingStep, evaluation, personal }: CompiledTraining,
): Promise<StartRecord['graphs']> {
  return {
    manifest: await blobs.put(manifest),
    trainingStep: await blobs.put(trainingStep),
    evaluation: await blobs.put(evaluation),
    ...(personal && {
      personalManifest: await blobs.put(personal.manifest),
      personalTrainingStep: await blobs.put(personal.trainingStep),
    }),
  }
}
