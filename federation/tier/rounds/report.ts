// What the operator is told about a campaign: computed from the durable facts each time it is asked.
import {
  RoundState_Phase,
  type CampaignState,
  type Conflict,
  type LateCounts,
  type ParticipantState,
  type RoundState,
} from '#federation/wire/generated/tributary.ts'
import type { EvaluationRecord, UpdateRecord } from '../store/records.ts'
import { HISTORY } from './buffer.ts'
import type { Campaign, Progress } from './campaign.ts'
import { phaseOf, type Phase } from './decide.ts'
import type { Round } from './round.ts'
import { hindrance } from './shortage.ts'
import { isConnected, saidByController } from '../tiers/reach.ts'
import { tierStates } from '../tiers/tier-states.ts'
import { unfinishedTraining } from './unfinished.ts'

const PHASES: Record<Phase, RoundState_Phase> = {
  Collecting: RoundState_Phase.COLLECTING,
  Merging: RoundState_Phase.MERGING,
  Evaluating: RoundState_Phase.EVALUATING,
  Done: RoundState_Phase.DONE,
  Short: RoundState_Phase.SHORT,
}

const MAXIMUM_FAILURE_MESSAGES = 50
const MAXIMUM_FAILURE_MESSAGE = 512

/** The newest version that came of a campaign. */
interface Published {
  readonly round: number
  readonly version: number
}

export function campaignState(campaign: Campaign, published: Published | undefined): CampaignState {
  const finished = [...campaign.rounds.values()].filter((round) => round.closed)
  return {
    uid: campaign.uid,
    known: true,
    baseVersion: campaign.start?.baseVersion ?? 0,
    current: campaign.current && {
      ...roundState(campaign, campaign.current),
      participants: campaign.current.attempt.participants,
    },
    history: finished
      .toSorted((a, b) => b.number - a.number)
      .slice(0, HISTORY)
      .map((round) => roundState(campaign, round)),
    participants: participantStates(campaign),
    failureReason: campaign.failure?.reason ?? '',
    failureMessage: campaign.failure?.message ?? '',
    modelUid: campaign.plan.modelUid,
    publishedRound: published?.round ?? 0,
    publishedVersion: published?.version ?? 0,
    tiers: tierStates(campaign),
    conflicts: conflictsOf(campaign),
  }
}

/** Told at most; a node that goes on sending other bytes adds nothing. */
const MAXIMUM_CONFLICTS = 10

function conflictsOf({ rounds }: Campaign): Conflict[] {
  return [...rounds.values()]
    .flatMap(({ number, conflicts }) =>
      [...conflicts.values()].map((conflict) => ({ round: number, ...conflict })),
    )
    .toSorted((a, b) => b.refusedMs - a.refusedMs)
    .slice(0, MAXIMUM_CONFLICTS)
    .map(({ round, participant, accepted, refused }) => ({
      ...{ round, node: participant },
      ...{ acceptedDigest: accepted, refusedDigest: refused },
    }))
}

export function unknownCampaign(uid: string): CampaignState {
  return {
    uid,
    known: false,
    baseVersion: 0,
    current: undefined,
    history: [],
    participants: [],
    failureReason: '',
    failureMessage: '',
    modelUid: '',
    publishedRound: 0,
    publishedVersion: 0,
    tiers: [],
    conflicts: [],
  }
}

/** Without the participants' names: for ten rounds of thousands of nodes they would not fit into a message. */
function roundState(campaign: Campaign, round: Round): RoundState {
  return {
    round: round.number,
    attempt: round.attempt.attempt,
    phase: PHASES[phaseOf(campaign.facts(round))],
    ...contributions(round.commit?.updates ?? [...campaign.buffers.of(round.number).values()]),
    wanted: campaign.buffering?.bufferSize ?? askedFor(campaign, round),
    minimumUpdates: round.attempt.minimumUpdates,
    metrics: meanMetrics([...round.evaluations.values()]),
    evaluations: round.evaluations.size,
    openedUnixMs: round.attempt.openedMs,
    deadlineUnixMs: campaign.deadlineOf(round),
    closedUnixMs: closedMs(round),
    parametersDigest: round.result?.parameters.digest ?? '',
    participants: [],
    ...reasonOf(campaign, round),
    late: lateCounts(campaign, round),
  }
}

function lateCounts({ buffers }: Campaign, { number, dropped }: Round): LateCounts {
  const counted = [...buffers.of(number).values()].filter(({ trainedFrom }) => trainedFrom < number)
  return { dropped: dropped.size, counted: counted.length }
}

function reasonOf(campaign: Campaign, round: Round): Pick<RoundState, 'reason' | 'message'> {
  if (round.isShort() && !round.commit) {
    const message = campaign.strategy.precondition(campaign.buffers.of(round.number).size)
    const reason = round.short?.reason ?? ''
    return { reason, message: reason === 'UpdatesNotMergeable' ? (message ?? '') : '' }
  }
  const found = round === campaign.current ? hindrance(campaign) : undefined
  return { reason: found?.reason ?? '', message: found?.message ?? '' }
}

function askedFor({ buffers }: Campaign, { number, attempt }: Round): number {
  return new Set([...attempt.participants, ...buffers.of(number).keys()]).size
}

function contributions(
  updates: readonly Pick<UpdateRecord, 'samples' | 'loss'>[],
): Pick<RoundState, 'received' | 'samples' | 'trainingLoss'> {
  const samples = updates.reduce((sum, update) => sum + update.samples, 0)
  const weightedLoss = updates.reduce((sum, update) => sum + update.samples * update.loss, 0)
  return { received: updates.length, samples, trainingLoss: samples > 0 ? weightedLoss / samples : 0 }
}

function closedMs(round: Round): number {
  if (round.closed) return round.closed.closedMs
  return round.isShort() ? (round.short?.closedMs ?? 0) : 0
}

/**
 * Mean of each metric over the held-out samples of those who reported it, in the order of the participants' names.
 * A mean that is not finite is left out.
 */
export function meanMetrics(evaluations: readonly EvaluationRecord[]): Record<string, number> {
  const sums = new Map<string, { weighted: number; samples: number }>()
  for (const { samples, metrics } of evaluations.toSorted((a, b) =>
    a.participant < b.participant ? -1 : 1,
  )) {
    for (const [name, value] of Object.entries(metrics)) {
      const sum = sums.get(name) ?? { weighted: 0, samples: 0 }
      sums.set(name, { weighted: sum.weighted + samples * value, samples: sum.samples + samples })
    }
  }
  const means = [...sums].map(([name, sum]) => [name, sum.weighted / sum.samples] as const)
  const measured = means.filter(([, mean]) => Number.isFinite(mean)).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(measured)
}

/** Every participant; but for a fleet that fails as a whole, the messages of some: all would not fit into a message. */
function participantStates(campaign: Campaign): ParticipantState[] {
  const nodes = campaign.plan.participants.map(({ node }) => node)
  const failing = nodes.filter((node) => campaign.current?.failureOf(node)).sort()
  const explained = new Set(failing.slice(0, MAXIMUM_FAILURE_MESSAGES))
  return nodes.map((node) => {
    const state = participantState(campaign, node)
    const message = explained.has(node) ? state.failureMessage.slice(0, MAXIMUM_FAILURE_MESSAGE) : ''
    return { ...state, failureMessage: message }
  })
}

function participantState(campaign: Campaign, node: string): ParticipantState {
  const round = campaign.current
  const trainsFrom = unfinishedTraining(campaign, node)?.number ?? 0
  const passedOn = saidByController(campaign, node)
  return {
    node,
    connected: isConnected(campaign, node),
    round: round?.number ?? 0,
    updateAccepted: campaign.buffers.of(round?.number ?? 0).has(node),
    evaluated: round?.evaluations.has(node) ?? false,
    ...failureOf(round, node),
    lastSeenUnixMs: Math.max(campaign.lastSeenMs.get(node) ?? 0, passedOn?.lastSeenUnixMs ?? 0),
    ...progressOf(campaign, node, trainsFrom),
    trainsFrom,
    countsNext: campaign.buffers.of((round?.number ?? 0) + 1).has(node),
  }
}

function failureOf(
  round: Round | undefined,
  node: string,
): Pick<ParticipantState, 'failureReason' | 'failureMessage'> {
  const failure = round?.failureOf(node)
  return { failureReason: failure?.reason ?? '', failureMessage: failure?.message ?? '' }
}

function progressOf(
  campaign: Campaign,
  node: string,
  trainsFrom: number,
): Pick<ParticipantState, 'steps' | 'totalSteps'> {
  const progress = progressKnown(campaign, node)
  const round = trainsFrom === 0 ? campaign.current?.number : trainsFrom
  if (!progress || progress.round !== round) return { steps: 0, totalSteps: 0 }
  return { steps: progress.steps, totalSteps: progress.totalSteps }
}

function progressKnown(campaign: Campaign, node: string): Progress | undefined {
  if (campaign.connected.has(node)) return campaign.progress.get(node)
  return saidByController(campaign, node) ?? campaign.progress.get(node)
}
