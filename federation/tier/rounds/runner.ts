// Drives one campaign: starts it, opens the planned round, and carries out what decideRound says; where tiers differ in these,
// its stages know. Each pass looks at the durable facts anew, so it does not matter where an earlier pass, or process, stopped.
import type { Logger } from 'pino'
import { toTierError } from '../serving/errors.ts'
import type { HubMetrics } from '../serving/metrics.ts'
import type { Clock } from '../clock.ts'
import type { SpareFiles } from '../store/spares.ts'
import type { Campaign } from './campaign.ts'
import { commitOf } from './commit.ts'
import { decideRound, type RoundDecision } from './decide.ts'
import { Round } from './round.ts'
import { fullDisk, isShort } from './shortage.ts'
import type { Stages } from './stages.ts'

export interface RunnerContext {
  readonly stages: Stages
  readonly spares: SpareFiles
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: HubMetrics
  /** Who runs the campaign; the hub unless given. */
  readonly tier?: string
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
      return (await isShort(this.#campaign)) ? Math.min(sleepMs ?? RETRY_MS, RETRY_MS) : sleepMs
    } catch (error) {
      if (this.#campaign.signal.aborted) return undefined
      this.#log.error({ err: error }, 'campaign pass failed, trying again')
      const { reason, message } = toTierError(error, this.#context.tier)
      const said = reason === 'DiskFull' ? await fullDisk(this.#campaign) : message
      this.#setTrouble({ reason, message: said })
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
    await this.#context.stages.prepare(this.#campaign)
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
      if (decision.act === 'merge' && !(await this.#context.stages.afterCommit(this.#campaign, round)))
        return undefined
      this.#campaign.changed()
    }
  }

  /** Opens the round or attempt that the plan asks for, if it follows from what is there. */
  async #openPlannedRound(): Promise<boolean> {
    const campaign = this.#campaign
    const attempt = this.#context.stages.attemptToOpen(campaign, this.#context.clock.now())
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
        await round.save('commit', commitOf(this.#campaign.buffers.of(round.number).values(), nowMs))
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
