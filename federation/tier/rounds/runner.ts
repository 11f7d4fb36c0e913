// Drives one campaign: compiles its graphs, opens the planned round, and carries out what decideRound says. Each pass
// looks at the durable facts anew, so it does not matter where an earlier pass, or process, stopped.
import type { Logger } from 'pino'
import type { Kernels } from '#federation/aggregation/kernels.ts'
import { ModelRefused, type CompiledTraining, type ModelCompiler } from '../compiler.ts'
import { toTierError } from '../serving/errors.ts'
import type { HubMetrics } from '../serving/metrics.ts'
import type { Clock } from '../clock.ts'
import type { BlobStore } from '../store/blobs.ts'
import type { SpareFiles } from '../store/spares.ts'
import type { CommitRecord, ResultRecord, StartRecord } from '../store/records.ts'
import { orAborted } from '../sleep.ts'
import type { Campaign } from './campaign.ts'
import { transferOf } from '../plans.ts'
import { decideRound, type RoundDecision } from './decide.ts'
import { deltaBetween } from './delta.ts'
import { evaluatorsOf } from './evaluators.ts'
import { mergeRound, type Merged } from './merging.ts'
import { attemptToOpen } from './opening.ts'
import { Round } from './round.ts'
import { dropMergedBytes } from './spool.ts'

export interface RunnerContext {
  readonly blobs: BlobStore
  readonly spares: SpareFiles
  readonly compiler: ModelCompiler
  readonly kernels: Kernels
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: HubMetrics
  /** The newest version of a model once it is admitted. */
  readonly latestVersion: (modelUid: string) => { version: number; digest: string } | undefined
  /** Called when blobs may have become unreferenced. */
  readonly sweep: () => void
}

const LONGEST_SLEEP_MS = 60_000
const RETRY_MS = 5_000

export class CampaignRunner {
  readonly #campaign: Campaign
  readonly #context: RunnerContext
  readonly #log: Logger
  readonly #stopObserving: () => void
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #again = false

  constructor(campaign: Campaign, context: RunnerContext) {
    this.#campaign = campaign
    this.#context = context
    this.#log = context.logger.child({ campaign: campaign.uid })
    campaign.startedMs = context.clock.now()
    this.#stopObserving = campaign.observe(() => this.poke())
    this.poke()
  }

  /** Looks again soon; many pokes make one pass. */
  poke(): void {
    this.#again = true
    this.#running ??= this.#runPasses().finally(() => {
      this.#running = undefined
    })
  }

  async stop(): Promise<void> {
    this.#stopObserving()
    clearTimeout(this.#timer)
    await this.#campaign.stop()
    await this.#running
    clearTimeout(this.#timer)
  }

  async #runPasses(): Promise<void> {
    // Starts in a later turn, so that `poke` never runs a pass inside the change that caused it.
    await Promise.resolve()
    while (this.#again && !this.#campaign.signal.aborted) {
      this.#again = false
      clearTimeout(this.#timer)
      const sleepMs = await this.#guardedPass()
      if (sleepMs !== undefined)
        this.#timer = setTimeout(() => this.poke(), Math.min(sleepMs, LONGEST_SLEEP_MS))
    }
  }

  async #guardedPass(): Promise<number | undefined> {
    try {
      const sleepMs = await this.#pass()
      this.#setTrouble(undefined)
      return sleepMs
    } catch (error) {
      if (this.#campaign.signal.aborted) return undefined
      this.#log.error({ err: error }, 'campaign pass failed, trying again')
      const { reason, message } = toTierError(error)
      this.#setTrouble({ reason, message })
      return RETRY_MS
    }
  }

  #setTrouble(trouble: { reason: string; message: string } | undefined): void {
    if (this.#campaign.trouble?.reason === trouble?.reason) return
    this.#campaign.trouble = trouble
    this.#campaign.changed()
  }

  /** Carries out everything that is due; returns in how many milliseconds time alone makes more due. */
  async #pass(): Promise<number | undefined> {
    await this.#startCampaign()
    const opened = await this.#campaign.locked(() => this.#openPlannedRound())
    if (opened) this.#campaign.changed()
    for (;;) {
      const round = this.#campaign.current
      if (!round || this.#campaign.failure) return undefined
      const decision = await this.#campaign.locked(() => this.#decideAndRecord(round))
      if (decision.act === 'wait') {
        return decision.wakeAtMs === undefined
          ? undefined
          : Math.max(1, decision.wakeAtMs - this.#context.clock.now())
      }
      if (decision.act === 'merge') await this.#merge(round)
      this.#campaign.changed()
    }
  }

  async #startCampaign(): Promise<void> {
    const campaign = this.#campaign
    const base = this.#context.latestVersion(campaign.plan.modelUid)
    if (campaign.start || campaign.failure || campaign.plan.finished || !base) return
    const { blobs } = this.#context
    const compiled = await this.#compile(await blobs.read(base.digest))
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

  /** Undefined when it cannot be done: trying again with the same model and plan would end the same way. */
  async #compile(model: Uint8Array): Promise<CompiledTraining | undefined> {
    const campaign = this.#campaign
    const { training: configuration, personalization } = campaign.plan.training
    try {
      return await orAborted(
        this.#context.compiler.compile(model, { configuration, personalization }),
        campaign.signal,
      )
    } catch (error) {
      campaign.signal.throwIfAborted()
      this.#log.warn({ err: error }, 'training does not compile')
      const message = error instanceof Error ? error.message : String(error)
      const reason = error instanceof ModelRefused ? error.reason : 'CompilerFailed'
      await campaign.locked(() => campaign.saveFailure({ reason, message }))
      return undefined
    }
  }

  /** Opens the round or attempt that the plan asks for, if it follows from what is there. */
  async #openPlannedRound(): Promise<boolean> {
    const campaign = this.#campaign
    const attempt = attemptToOpen(campaign, this.#context.clock.now())
    if (!attempt) return false
    const { current } = campaign
    if (current?.number === attempt.round) await current.saveAttempt(attempt)
    else {
      const directory = campaign.roundDirectory(attempt.round)
      campaign.rounds.set(attempt.round, await Round.create(directory, attempt))
    }
    return true
  }

  /** Decides, and records what only needs a record, in one locked step: no update slips in between. */
  async #decideAndRecord(round: Round): Promise<RoundDecision> {
    const nowMs = this.#context.clock.now()
    const decision = decideRound(this.#campaign.facts(round), nowMs)
    switch (decision.act) {
      case 'commit':
        await round.save('commit', { closedMs: nowMs, updates: this.#countingIn(round) })
        break
      case 'endShort':
        await round.save('short', {
          attempt: round.attempt.attempt,
          closedMs: nowMs,
          reason: decision.reason,
        })
        this.#context.metrics.roundsEnded.inc({ outcome: 'short' })
        break
      case 'close':
        await round.save('closed', { closedMs: nowMs })
        this.#context.metrics.roundsEnded.inc({ outcome: 'done' })
        await this.#forgetOldRounds()
        break
      case 'wait':
      case 'merge':
    }
    return decision
  }

  #countingIn(round: Round): CommitRecord['updates'] {
    return [...this.#campaign.buffers.of(round.number).values()]
      .toSorted((a, b) => (a.participant < b.participant ? -1 : 1))
      .map(({ size: _size, acceptedMs: _accepted, countsIn: _round, ...update }) => update)
  }

  async #merge(round: Round): Promise<void> {
    const { blobs, kernels, metrics, clock } = this.#context
    const campaign = this.#campaign
    const stopTimer = metrics.mergeSeconds.startTimer()
    try {
      await blobs.hold(async () => {
        const merged = await mergeRound(campaign, round, { blobs, kernels })
        const delta = await this.#deltaTo(merged, round)
        const result = { ...merged, ...(delta && { delta }) }
        await campaign.locked(() => this.#recordResult(round, result, clock.now()))
      })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      // The same updates would give the same numbers again.
      this.#log.warn({ err: error, round: round.number }, 'the merge diverged')
      await campaign.locked(() => campaign.saveFailure({ reason: 'MergeDiverged', message: error.message }))
      return
    }
    stopTimer()
    await dropMergedBytes(campaign, round, this.#context.spares)
  }

  /** Never the reason that a round does not go on. */
  async #deltaTo({ parameters }: Merged, round: Round): Promise<ResultRecord['delta']> {
    const { plan, start, signal } = this.#campaign
    if (!start || transferOf(plan.training).download.type === 'Full') return undefined
    const context = { ...this.#context, tensors: start.tensors }
    try {
      return await orAborted(deltaBetween(round.attempt.base, parameters, context), signal)
    } catch (error) {
      signal.throwIfAborted()
      this.#log.warn({ err: error, round: round.number }, 'no delta of the parameters is offered')
      return undefined
    }
  }

  async #recordResult(
    round: Round,
    merged: Merged & Pick<ResultRecord, 'delta'>,
    mergedMs: number,
  ): Promise<void> {
    const evaluators = evaluatorsOf(this.#campaign, round)
    const evaluationDeadlineMs = mergedMs + this.#campaign.plan.evaluationDeadlineSeconds * 1000
    await round.save('result', { ...merged, mergedMs, evaluationDeadlineMs, evaluators })
  }

  async #forgetOldRounds(): Promise<void> {
    const { current, keptRounds, rounds, buffers } = this.#campaign
    const newest = current?.number ?? 0
    const old = [...rounds.values()].filter((round) => round.number <= newest - keptRounds)
    for (const round of old) {
      rounds.delete(round.number)
      buffers.forget(round.number)
      await round.remove()
    }
    if (old.length > 0) this.#context.sweep()
  }
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
