// The status of a FederatedRound: recomputed whole on every pass from the observation and its situation.
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import type { RoundState } from '#federation/wire/generated/tributary.ts'
import { RoundState_Phase as Phase } from '#federation/wire/generated/tributary.ts'
import { conditionsOf, isTrue, timestamp } from '#operator/conditions.ts'
import { shownMetrics } from '#operator/shown-metrics.ts'
import { attention } from './attention.ts'
import { conditionFacts } from './condition-facts.ts'
import type { Observation } from './decision.ts'
import { lastDone, publishedVersion } from './situation.ts'
import type { Situation } from './situation.ts'
import { tierStatus } from './tier-status.ts'
import type { Placement } from './tiers.ts'

/** Rounds kept in status; older ones are in the hub. */
const HISTORY = 10

export function statusOf(seen: Observation, situation: Situation, placed: Placement[]): FederatedRoundStatus {
  const { round, now } = seen
  if (situation.kind === 'ended' && hasEnded(round.status)) return asTold(round.status, round.generation)
  const conditions = conditionsOf(conditionFacts(seen, situation, placed), round.status?.conditions, {
    now,
    generation: round.generation,
  })
  return withoutUndefined({
    ...(situation.kind === 'hubUnreachable' || seen.campaign.kind === 'unreachable'
      ? lastKnown(round.status)
      : { ...progress(seen), ...tierStatus(seen, placed, situation.kind === 'ended') }),
    observedGeneration: round.generation,
    phase: phaseOf(situation),
    rounds: round.spec.rounds,
    waitingSince: situation.kind === 'waiting' ? timestamp(situation.since) : undefined,
    participants: situation.kind === 'ended' ? round.status?.participants : attention(seen),
    conditions,
  })
}

/** What became of an ended campaign does not change with the fleet or the model afterwards. */
function asTold(status: FederatedRoundStatus, generation: number): FederatedRoundStatus {
  const conditions = status.conditions?.map((condition) => ({ ...condition, observedGeneration: generation }))
  return withoutUndefined({ ...status, observedGeneration: generation, conditions })
}

function hasEnded(status: FederatedRoundStatus | undefined): status is FederatedRoundStatus {
  return isTrue(status?.conditions, 'Complete') || isTrue(status?.conditions, 'Failed')
}

/** One word for people. */
export function phaseOf(situation: Situation): string {
  switch (situation.kind) {
    case 'ended':
      return situation.outcome === 'Complete' ? 'Completed' : 'Failed'
    case 'running':
      return { [Phase.COLLECTING]: 'Training', [Phase.MERGING]: 'Merging', [Phase.EVALUATING]: 'Evaluating' }[
        situation.round.phase as 'COLLECTING'
      ]
    case 'planning':
      return 'Training'
    case 'publishing':
      return 'Publishing'
    case 'suspended':
      return 'Suspended'
    case 'waiting':
    case 'backingOff':
    case 'hubUnreachable':
      return 'Waiting'
  }
}

/** What only the hub knows, as it was last seen. */
function lastKnown(status: FederatedRoundStatus | undefined): Partial<FederatedRoundStatus> {
  if (!status) return {}
  const { conditions: _conditions, participants: _participants, waitingSince: _since, ...kept } = status
  return kept
}

function progress(seen: Observation): Partial<FederatedRoundStatus> {
  if (seen.campaign.kind !== 'known') return {}
  const { current, history, baseVersion, conflicts } = seen.campaign.state
  const done = lastDone(seen)
  const shown = current ?? done
  const rounds = seen.round.spec.rounds
  const version = publishedVersion(seen)
  return {
    round: shown?.round ?? 0,
    roundProgress: `${shown?.round ?? 0}/${rounds}`,
    ...(baseVersion > 0 ? { baseVersion } : {}),
    ...(shown ? currentRound(shown) : {}),
    ...metricOf(seen, done),
    ...(version === undefined ? {} : { modelVersion: `v${version}` }),
    history: summaries(current, history),
    ...(conflicts.length > 0 && { refusedUpdates: conflicts.slice(0, HISTORY) }),
  }
}

function currentRound(round: RoundState): Partial<FederatedRoundStatus> {
  const collecting = round.phase === Phase.COLLECTING
  return {
    attempt: round.attempt,
    updates: { received: round.received, wanted: round.wanted, ...lateOf(round) },
    updatesProgress: `${round.received}/${round.wanted}`,
    ...(collecting && round.deadlineUnixMs > 0 ? { roundDeadline: timestamp(round.deadlineUnixMs) } : {}),
  }
}

function metricOf(seen: Observation, done: RoundState | undefined): Partial<FederatedRoundStatus> {
  if (!done) return {}
  const wanted = [seen.round.spec.until?.metric, 'accuracy', 'loss'].find(
    (name) => name !== undefined && done.metrics[name] !== undefined,
  )
  if (wanted === undefined) return {}
  return { metric: (done.metrics[wanted] ?? 0).toFixed(3), metricName: wanted }
}

function summaries(
  current: RoundState | undefined,
  history: RoundState[],
): NonNullable<FederatedRoundStatus['history']> {
  const finished = [...(current ? [current] : []), ...history].filter((round) => round.phase === Phase.DONE)
  const byRound = new Map(finished.map((round) => [round.round, round]))
  return [...byRound.values()]
    .sort((a, b) => b.round - a.round)
    .slice(0, HISTORY)
    .map((round) => ({
      round: round.round,
      updates: round.received,
      wanted: round.wanted,
      samples: round.samples,
      evaluations: round.evaluations,
      metrics: shownMetrics(round.metrics),
      ...lateOf(round),
      completedAt: timestamp(round.closedUnixMs),
    }))
}

function lateOf({ late }: RoundState): Pick<NonNullable<FederatedRoundStatus['updates']>, 'late'> {
  const { counted, dropped } = late ?? { counted: 0, dropped: 0 }
  return counted + dropped === 0 ? {} : { late: { counted, dropped } }
}

function withoutUndefined<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as T
}
