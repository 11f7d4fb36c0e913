// One campaign: its plan, its rounds, and who is connected. All changes run one after another (`locked`), each is on
// the disk before it shows, and whoever changed something calls `changed` so that the runner and the streams look
// again. What is only true while this process lives (streams, progress) is kept apart and never decides what counts.
import { join } from 'node:path'
import { strategyOf } from '#federation/aggregation/strategies.ts'
import type { Strategy } from '#federation/aggregation/strategy.ts'
import { TierError } from '../serving/errors.ts'
import {
  CampaignPlanSchema,
  strategyConfigurationOf,
  transferOf,
  type CheckedCampaignPlan,
} from '../plans.ts'
import { makeDirectory, listDirectory, readRecord, writeRecord } from '../store/files.ts'
import { CampaignFailureRecord, StartRecord } from '../store/records.ts'
import { Buffers, bufferingOf, HISTORY, type Buffering } from './buffer.ts'
import { UpdateCodec } from './codec.ts'
import type { RoundFacts } from './decide.ts'
import { Observers } from './observers.ts'
import { Round } from './round.ts'
import { Controllers } from '../tiers/controllers.ts'
import { isConnected } from '../tiers/reach.ts'
import { withNewestEpochs } from '../tiers/tree.ts'

export interface Progress {
  readonly round: number
  readonly steps: number
  readonly totalSteps: number
}

/** What the tier above says of rounds that are over here. */
export interface ParentRules {
  /** Up to this round everything is said about updates. */
  readonly settledRound: number
  /** It finds a place for updates to other closed rounds. */
  readonly takesLate: boolean
}

/** How long a participant that dropped off, or all of them after a restart of the hub, are awaited to come back. */
export const RECONNECT_GRACE_MS = 30_000

export class Campaign {
  readonly directory: string
  /** How updates are merged; it never changes. */
  readonly strategy: Strategy
  /** Set when an update may count in a later round than the one it was trained from: it never changes. */
  readonly buffering: Buffering | undefined
  /** The accepted updates by the round that they count in. */
  readonly buffers = new Buffers()
  #codec: UpdateCodec | undefined
  #plan: CheckedCampaignPlan
  #podByNode: ReadonlyMap<string, string>
  start: StartRecord | undefined
  failure: CampaignFailureRecord | undefined
  readonly rounds = new Map<number, Round>()
  readonly connected = new Map<string, unknown>()
  readonly lastSeenMs = new Map<string, number>()
  readonly progress = new Map<string, Progress>()
  /** Which round's parameters each pod trains from, as it said or was told last. */
  readonly training = new Map<string, number>()
  /** Why the last pass could not be finished; it is tried again. */
  trouble: { reason: string; message: string } | undefined
  /** Why updates are refused now, when the disk is full, and how many bytes must be free for it to end. */
  shortage: { readonly needed: number; readonly message: string } | undefined
  /** When this process began to run the campaign. */
  startedMs = 0
  /** The edge controllers directly below. */
  readonly controllers: Controllers
  /** Set at an edge controller. */
  parent: ParentRules | undefined
  readonly #observers = new Observers()
  readonly #abort = new AbortController()
  #tail: Promise<unknown> = Promise.resolve()

  private constructor(directory: string, plan: CheckedCampaignPlan) {
    this.directory = directory
    const configuration = strategyConfigurationOf(plan.training)
    this.strategy = strategyOf(configuration)
    this.buffering = bufferingOf(configuration, plan.lateUpdates)
    this.#plan = plan
    this.#podByNode = podByNode(plan)
    this.controllers = new Controllers(directory, () => this.changed())
  }

  static async create(directory: string, plan: CheckedCampaignPlan): Promise<Campaign> {
    await makeDirectory(directory)
    await writeRecord(join(directory, 'plan.json'), plan)
    return new Campaign(directory, plan)
  }

  static async load(directory: string): Promise<Campaign | undefined> {
    const plan = await readRecord(join(directory, 'plan.json'), CampaignPlanSchema)
    if (!plan) return undefined
    const campaign = new Campaign(directory, plan)
    campaign.start = await readRecord(join(directory, 'start.json'), StartRecord)
    campaign.failure = await readRecord(join(directory, 'failure.json'), CampaignFailureRecord)
    await campaign.controllers.load()
    for (const name of await listDirectory(join(directory, 'rounds'))) {
      const round = await Round.load(join(directory, 'rounds', name))
      if (!round) continue
      campaign.rounds.set(round.number, round)
      for (const update of round.updates.values()) campaign.buffers.add(round.number, update)
    }
    return campaign
  }

  get plan(): CheckedCampaignPlan {
    return this.#plan
  }

  get uid(): string {
    return this.plan.uid
  }

  /** Aborted when the campaign is deleted or the hub stops. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get current(): Round | undefined {
    return this.rounds.get(Math.max(0, ...this.rounds.keys()))
  }

  /** How many rounds back there may be something to take an update for, or to tell about. */
  get keptRounds(): number {
    return Math.max(HISTORY, (this.buffering?.maxStaleness ?? 0) + 1)
  }

  /** Runs one change; changes of a campaign never overlap. */
  locked<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      this.signal.throwIfAborted()
      return change()
    })
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Calls back whenever something may have changed, until the returned function is called. */
  observe(observer: () => void): () => void {
    return this.#observers.add(observer)
  }

  /** Has the observers look again soon: many changes in a moment are one, or a crowd would notify a crowd. */
  changed(): void {
    this.#observers.changed()
  }

  /**
   * Tells all who follow it that it is over, before it is stopped for good: pods and edge controllers then clear away what they keep
   * of it on their nodes. Nothing of this is written down, as what is goes next.
   */
  end(reason: string): void {
    this.#plan = { ...this.#plan, finished: true, finishedReason: reason, controllersStay: false }
    this.#observers.notify()
  }

  /** Ends everything that goes on for this campaign in this process. */
  async stop(): Promise<void> {
    this.#abort.abort()
    this.controllers.stop()
    await this.#tail
    this.#observers.notify()
  }

  async applyPlan(planned: CheckedCampaignPlan, nowMs: number): Promise<void> {
    const isNew = await this.locked(async () => {
      const plan = { ...planned, tiers: withNewestEpochs(this.plan.tiers, planned.tiers) }
      this.#refuseChangesOfIdentity(plan)
      if (JSON.stringify(plan) === JSON.stringify(this.plan)) return false
      await this.controllers.replace(this.plan.tiers, plan.tiers)
      await writeRecord(join(this.directory, 'plan.json'), plan)
      this.#plan = plan
      this.#podByNode = podByNode(plan)
      await this.#pauseOrResume(nowMs)
      return true
    })
    // The operator applies a plan whenever it is told of a change: telling it of none keeps the two from going in circles.
    if (isNew) this.changed()
  }

  async saveStart(record: StartRecord): Promise<void> {
    await writeRecord(join(this.directory, 'start.json'), record)
    this.start = record
  }

  async saveFailure(record: CampaignFailureRecord): Promise<void> {
    await writeRecord(join(this.directory, 'failure.json'), record)
    this.failure = record
  }

  roundDirectory(number: number): string {
    return join(this.directory, 'rounds', String(number))
  }

  /** How updates are encoded. There is none before the campaign's graphs are compiled. */
  get codec(): UpdateCodec {
    if (!this.start) throw new Error(`campaign ${this.uid} has not started`)
    this.#codec ??= new UpdateCodec(
      transferOf(this.#plan.training).upload.codec,
      this.start,
      this.strategy.sections.length,
    )
    return this.#codec
  }

  /** Which pod may speak for a node in this campaign. */
  podOf(node: string): string | undefined {
    return this.#podByNode.get(node)
  }

  /** The digests that must not be swept while this campaign exists. */
  referencedBlobs(): string[] {
    const graphs = Object.values(this.start?.graphs ?? {}).filter((graph) => graph !== undefined)
    const initial = this.start ? [this.start.parameters, { digest: this.start.baseDigest }] : []
    const rounds = [...this.rounds.values()].flatMap(({ attempt, result }) => [
      attempt.base,
      ...Object.values(attempt.state),
      ...(attempt.delta ? [attempt.delta.blob] : []),
      ...(result ? [result.parameters, ...Object.values(result.state)] : []),
      ...(result?.delta ? [result.delta.blob] : []),
    ])
    return [...graphs, ...initial, ...rounds].map(({ digest }) => digest)
  }

  /** Everything the round's state machine decides by. */
  facts(round: Round): RoundFacts {
    const result = round.result
    const accepted = new Set(this.buffers.of(round.number).keys())
    return {
      participants: round.attempt.participants,
      minimumUpdates: round.attempt.minimumUpdates,
      bufferSize: this.buffering?.bufferSize,
      deadlineMs: this.deadlineOf(round),
      paused: round.attempt.pausedMs !== undefined,
      accepted,
      failed: round.failedInTraining(),
      unmergeable: this.strategy.precondition(accepted.size) !== undefined,
      short: round.isShort(),
      committed: round.commit !== undefined,
      merged: result !== undefined,
      closed: round.closed !== undefined,
      evaluation: {
        deadlineMs: result?.evaluationDeadlineMs ?? 0,
        awaitedUntilMs: round
          .missingEvaluations()
          .map((node) => this.#awaitedUntil(node, result?.mergedMs ?? 0)),
      },
    }
  }

  /** Whoever could not reach the hub while it was away gets a moment to do so before a deadline is held against them. */
  deadlineOf(round: Round): number {
    const { openedMs, deadlineMs } = round.attempt
    if (!round.isCollecting() || this.startedMs <= openedMs) return deadlineMs
    return Math.max(deadlineMs, this.startedMs + RECONNECT_GRACE_MS)
  }

  #awaitedUntil(node: string, mergedMs: number): number {
    if (isConnected(this, node)) return Number.POSITIVE_INFINITY
    return Math.max(this.lastSeenMs.get(node) ?? 0, mergedMs, this.startedMs) + RECONNECT_GRACE_MS
  }

  #refuseChangesOfIdentity(plan: CheckedCampaignPlan): void {
    for (const field of ['namespace', 'name', 'modelUid', 'training', 'lateUpdates'] as const) {
      if (JSON.stringify(plan[field]) === JSON.stringify(this.plan[field])) continue
      const detail = `${field} of campaign ${plan.uid} cannot change once applied`
      throw new TierError('conflict', 'PlanImmutable', detail)
    }
  }

  /** Withdrawing the round stops its clock, planning it again lets the rest of its time run. */
  async #pauseOrResume(nowMs: number): Promise<void> {
    const round = this.current
    if (!round?.isCollecting()) return
    const { pausedMs, ...attempt } = round.attempt
    const wanted = this.plan.round !== undefined
    if (!wanted && pausedMs === undefined) await round.saveAttempt({ ...attempt, pausedMs: nowMs })
    if (wanted && pausedMs !== undefined) {
      await round.saveAttempt({ ...attempt, deadlineMs: attempt.deadlineMs + nowMs - pausedMs })
    }
  }
}

function podByNode({ participants }: CheckedCampaignPlan): ReadonlyMap<string, string> {
  return new Map(participants.map(({ node, pod }) => [node, pod]))
}
