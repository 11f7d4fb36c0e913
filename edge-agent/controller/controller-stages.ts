// An edge controller's part in what differs between tiers: the campaign starts with what the hub compiled, rounds open from what the
// parent says, and what a commit leads to is sent to the parent, from where the result comes back.
import type { Logger } from 'pino'

import type { Clock } from '#federation/tier/clock.ts'
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import { commitOf } from '#federation/tier/rounds/commit.ts'
import { Round } from '#federation/tier/rounds/round.ts'
import type { Stages } from '#federation/tier/rounds/stages.ts'
import type { AttemptRecord } from '#federation/tier/store/records.ts'
import type { TierPlan } from '#federation/wire/generated/tributary.ts'

import { attemptOf, endOfOvertaken, evaluatedOnly, resultOf, startRecordOf } from './round-plan.ts'

export interface ControllerStagesContext {
  readonly plan: () => TierPlan | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Called when there may be something to be sent: a round is committed, or an update came after that. */
  readonly onUpdates: () => void
}

export class ControllerStages implements Stages {
  readonly #context: ControllerStagesContext

  constructor(context: ControllerStagesContext) {
    this.#context = context
  }

  async prepare(campaign: Campaign): Promise<void> {
    const tier = this.#context.plan()
    if (!tier) return
    const changed = await campaign.locked(async () => {
      const started = await this.#start(campaign, tier)
      const ended = await this.#endOvertaken(campaign, tier)
      const merged = await this.#takeResult(campaign, tier)
      return started || ended || merged
    })
    if (campaign.parent?.takesLate) this.#context.onUpdates()
    if (changed) campaign.changed()
  }

  attemptToOpen(campaign: Campaign, nowMs: number): AttemptRecord | undefined {
    return attemptOf(this.#context.plan(), campaign, nowMs)
  }

  async afterCommit(_campaign: Campaign, round: Round): Promise<boolean> {
    this.#context.onUpdates()
    return Promise.resolve(round.result !== undefined)
  }

  async #start(campaign: Campaign, { start }: TierPlan): Promise<boolean> {
    if (!start || campaign.start) return false
    await campaign.saveStart(startRecordOf(start))
    return true
  }

  /** Rounds that the parent has left behind take no more; what they hold is handed on. */
  async #endOvertaken(campaign: Campaign, { basis, merged }: TierPlan): Promise<boolean> {
    const now = this.#context.clock.now()
    const open = basis?.round ?? 0
    const before = Math.max(open, (merged?.round ?? 0) + 1)
    let changed = false
    for (const round of [...campaign.rounds.values()].filter(({ number }) => number < before)) {
      const end = endOfOvertaken(round)
      if (end === 'commit')
        await round.save('commit', commitOf(campaign.buffers.of(round.number).values(), now))
      if (end === 'short') {
        const { attempt } = round.attempt
        await round.save('short', { attempt, closedMs: now, reason: 'RoundOvertaken' })
      }
      if (!round.closed && round.number < open) await round.save('closed', { closedMs: now })
      changed ||= end !== undefined
    }
    return changed
  }

  async #takeResult(campaign: Campaign, { merged }: TierPlan): Promise<boolean> {
    if (!merged || !campaign.start) return false
    const now = this.#context.clock.now()
    const known = campaign.rounds.get(merged.round)
    if (known?.result || (!known && (campaign.current?.number ?? 0) > merged.round)) return false
    const result = resultOf(merged, now)
    const attempt = evaluatedOnly(merged, now)
    if (!result || !attempt) return false
    const round = known ?? (await Round.create(campaign.roundDirectory(merged.round), attempt))
    if (round.isCollecting()) {
      await round.save('short', { attempt: round.attempt.attempt, closedMs: now, reason: 'RoundOvertaken' })
    }
    await round.save('result', result)
    campaign.rounds.set(round.number, round)
    return true
  }
}
