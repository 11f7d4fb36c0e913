// Where a campaign stands, from one observation. Checks run in order and the first that speaks decides; nothing here
// does anything. What cannot be seen again (an ended campaign, since when it waits) is read from status.
//
//   hub silent → HubUnreachable            model missing / not admitted → Waiting
//   round open → Running                   round done → Publishing → Completed, or the next round
//   too few Ready nodes → Waiting          attempt short of the quorum → Planning again, at last Failed
import type { ParticipantState, RoundPlan, RoundState } from '#federation/wire/generated/tributary.ts'
import { RoundState_Phase as Phase } from '#federation/wire/generated/tributary.ts'
import { isTrue, timestamp } from '#operator/conditions.ts'
import { isReady } from '#operator/objects.ts'
import { candidates, draw, trainingNodes } from './participants.ts'
import type { Candidate } from './participants.ts'
import type { Observation } from './decision.ts'
import { whatIsUndeclared } from './undeclared.ts'
import type { UndeclaredReason } from './undeclared.ts'

export type WaitReason = 'ModelNotFound' | 'ModelNotReady' | UndeclaredReason | 'NotEnoughNodes'

export type Situation =
  | { kind: 'ended'; outcome: 'Complete' | 'Failed'; reason: string; message: string }
  | { kind: 'hubUnreachable'; message: string }
  | { kind: 'waiting'; reason: WaitReason; message: string; since: number; until: number }
  | { kind: 'suspended' }
  | { kind: 'backingOff'; round: RoundState; until: number }
  | { kind: 'running'; round: RoundState }
  | { kind: 'publishing'; round: RoundState }
  | { kind: 'planning'; plan: RoundPlan; short: RoundState | undefined }

/** Pause after the first short attempt; doubles with each further one. */
const ATTEMPT_BACK_OFF_MS = 10_000
const LONGEST_BACK_OFF_MS = 600_000

type Check = (seen: Observation) => Situation | undefined

const CHECKS: Check[] = [
  alreadyEnded,
  activeDeadlineExceeded,
  hubIsSilent,
  hubHasForgotten,
  isSuspendedBeforeItBegan,
  modelWasReplaced,
  modelIsNotUsable,
  trainingIsNotPossible,
  roundIsOpen,
  publicationIsOwed,
  roundsAreDone,
  isSuspended,
  attemptsAreUsedUp,
  attemptWasJustShort,
  nodesAreMissing,
]

export function assess(seen: Observation): Situation {
  for (const check of CHECKS) {
    const situation = check(seen)
    if (situation) return situation
  }
  return { kind: 'planning', plan: nextRound(seen), short: shortRound(seen) }
}

export function poolOf(seen: Observation): Candidate[] {
  return candidates(seen.round, seen.profiles, seen.nodes)
}

/** The last round whose merged model exists and was evaluated. */
export function lastDone(seen: Observation): RoundState | undefined {
  if (seen.campaign.kind !== 'known') return undefined
  const { current, history } = seen.campaign.state
  return current?.phase === Phase.DONE ? current : history.find((round) => round.phase === Phase.DONE)
}

/** The metric of `until` when it is good enough after this round. */
export function targetReached(seen: Observation, round: RoundState): string | undefined {
  const until = seen.round.spec.until
  const value = until && round.metrics[until.metric]
  if (!until || value === undefined) return undefined
  if (until.atLeast !== undefined && value >= until.atLeast)
    return `${until.metric} ${value.toFixed(4)} is at least ${until.atLeast}`
  if (until.atMost !== undefined && value <= until.atMost)
    return `${until.metric} ${value.toFixed(4)} is at most ${until.atMost}`
  return undefined
}

function alreadyEnded({ round }: Observation): Situation | undefined {
  for (const outcome of ['Complete', 'Failed'] as const) {
    const condition = round.status?.conditions?.find((entry) => entry.type === outcome)
    if (condition && isTrue(round.status?.conditions, outcome)) {
      return { kind: 'ended', outcome, reason: condition.reason, message: condition.message }
    }
  }
  return undefined
}

function activeDeadlineExceeded({ round, now }: Observation): Situation | undefined {
  const seconds = round.spec.activeDeadlineSeconds
  if (seconds === undefined || now < round.createdAt + seconds * 1000) return undefined
  return failed(
    'DeadlineExceeded',
    `the campaign was not complete ${seconds} s after its creation (activeDeadlineSeconds)`,
  )
}

function hubIsSilent({ campaign }: Observation): Situation | undefined {
  return campaign.kind === 'unreachable' ? { kind: 'hubUnreachable', message: campaign.message } : undefined
}

/** A hub that lost its volume would begin again at round 1 and overwrite what people were told. */
function hubHasForgotten({ campaign, round }: Observation): Situation | undefined {
  const begun = round.status?.round ?? 0
  if (campaign.kind !== 'known' || campaign.state.known || begun === 0) return undefined
  return failed('HubDataLost', `the hub does not know this campaign any more, which was at round ${begun}`)
}

function isSuspendedBeforeItBegan({ campaign, round }: Observation): Situation | undefined {
  const begun = campaign.kind === 'known' && campaign.state.current !== undefined
  return round.spec.suspend && !begun ? { kind: 'suspended' } : undefined
}

function modelWasReplaced({ campaign, model, round }: Observation): Situation | undefined {
  const started = campaign.kind === 'known' ? campaign.state.modelUid : ''
  if (started === '' || !model || model.uid === started) return undefined
  return failed(
    'ModelReplaced',
    `EdgeModel ${round.spec.modelRef.name} was deleted and made anew since the campaign began`,
  )
}

function modelIsNotUsable(seen: Observation): Situation | undefined {
  const name = seen.round.spec.modelRef.name
  if (!seen.model)
    return waiting(
      seen,
      'ModelNotFound',
      `there is no EdgeModel ${name} in namespace ${seen.round.namespace}`,
    )
  switch (seen.model.admitted) {
    case 'Refused':
      return failed('ModelRefused', `EdgeModel ${name} was refused: ${seen.model.message}`)
    case 'NotYet':
      return waiting(seen, 'ModelNotReady', `EdgeModel ${name} is not admitted yet: ${seen.model.message}`)
    case 'Yes':
      return undefined
  }
}

function trainingIsNotPossible({ campaign }: Observation): Situation | undefined {
  if (campaign.kind !== 'known' || campaign.state.failureReason === '') return undefined
  const { failureReason, failureMessage } = campaign.state
  return failed(failureReason === 'MergeDiverged' ? failureReason : 'TrainingNotPossible', failureMessage)
}

function roundIsOpen({ campaign }: Observation): Situation | undefined {
  if (campaign.kind !== 'known' || !campaign.state.current) return undefined
  const open: Phase[] = [Phase.COLLECTING, Phase.MERGING, Phase.EVALUATING]
  const current = campaign.state.current
  return open.includes(current.phase) ? { kind: 'running', round: current } : undefined
}

function publicationIsOwed(seen: Observation): Situation | undefined {
  const done = lastDone(seen)
  const policy = seen.round.spec.publish
  if (!done || policy === 'Never' || publishedVersion(seen, done.round) !== undefined) return undefined
  const last = done.round >= seen.round.spec.rounds || targetReached(seen, done) !== undefined
  return policy === 'EveryRound' || last ? { kind: 'publishing', round: done } : undefined
}

/** Newest version that this campaign published, of that round or a later one. */
export function publishedVersion({ campaign }: Observation, round = 0): number | undefined {
  if (campaign.kind !== 'known' || campaign.state.publishedVersion === 0) return undefined
  return campaign.state.publishedRound >= round ? campaign.state.publishedVersion : undefined
}

function roundsAreDone(seen: Observation): Situation | undefined {
  const done = lastDone(seen)
  if (!done) return undefined
  const target = targetReached(seen, done)
  if (target !== undefined) return complete('TargetReached', `${target} after round ${done.round}`)
  if (done.round < seen.round.spec.rounds) return undefined
  return complete('RoundsDone', `all ${seen.round.spec.rounds} rounds are done`)
}

function isSuspended({ round }: Observation): Situation | undefined {
  return round.spec.suspend ? { kind: 'suspended' } : undefined
}

function attemptsAreUsedUp(seen: Observation): Situation | undefined {
  const short = shortRound(seen)
  const { maxAttempts, minUpdates } = seen.round.spec.completion
  if (!short || short.attempt < maxAttempts) return undefined
  return failed(
    'QuorumNotReached',
    `round ${short.round} had ${short.received} of at least ${minUpdates} updates after ${short.attempt} attempts${because(short)}`,
  )
}

/** An attempt that fails at once would use up all attempts within a second, and a passing trouble would fail the campaign. */
function attemptWasJustShort(seen: Observation): Situation | undefined {
  const short = shortRound(seen)
  if (!short) return undefined
  const pause = Math.min(LONGEST_BACK_OFF_MS, ATTEMPT_BACK_OFF_MS * 2 ** (short.attempt - 1))
  const until = short.closedUnixMs + pause
  return seen.now < until ? { kind: 'backingOff', round: short, until } : undefined
}

function nodesAreMissing(seen: Observation): Situation | undefined {
  const undeclared = whatIsUndeclared(seen)
  if (undeclared) return waiting(seen, undeclared.reason, undeclared.message)
  const { completion } = seen.round.spec
  const pool = poolOf(seen)
  const ready = pool.filter((candidate) => isReady(candidate.node)).length
  const usable = new Set([
    ...keptNodes(seen),
    ...pool.filter((entry) => isReady(entry.node)).map((entry) => entry.node.name),
  ]).size
  if (usable >= completion.minUpdates) return undefined
  return waiting(
    seen,
    'NotEnoughNodes',
    `${ready} of ${pool.length} matching nodes are Ready, a round needs ${completion.minUpdates}`,
  )
}

function shortRound({ campaign }: Observation): RoundState | undefined {
  const current = campaign.kind === 'known' ? campaign.state.current : undefined
  return current?.phase === Phase.SHORT ? current : undefined
}

/** Nodes whose update counts already in what comes next: the short round once more, or, with FedBuff, the round after it. */
function keptNodes(seen: Observation): string[] {
  const short = shortRound(seen)
  const counts = ({ round, updateAccepted, countsNext }: ParticipantState): boolean =>
    short ? round === short.round && updateAccepted : countsNext
  return statesOf(seen)
    .filter(counts)
    .map(({ node }) => node)
}

function statesOf({ campaign }: Observation): ParticipantState[] {
  return campaign.kind === 'known' ? campaign.state.participants : []
}

/** What the hub says about a round that does not go on, as the end of a sentence. */
export function because(round: RoundState): string {
  return round.message === '' ? '' : `: ${round.message}`
}

function nextRound(seen: Observation): RoundPlan {
  const short = shortRound(seen)
  const number = short?.round ?? (lastDone(seen)?.round ?? 0) + 1
  const attempt = (short?.attempt ?? 0) + 1
  const { minUpdates, deadlineSeconds } = seen.round.spec.completion
  const pool = poolOf(seen)
  const keep = [...new Set([...keptNodes(seen), ...trainingNodes(pool, statesOf(seen))])]
  const participants = draw(seen.round, pool, { round: number, attempt, keep })
  return {
    round: number,
    attempt,
    participants,
    minimumUpdates: minUpdates,
    deadlineSeconds,
    rounds: seen.round.spec.rounds,
    population: Math.max(pool.length, participants.length),
  }
}

function waiting(seen: Observation, reason: WaitReason, message: string): Situation {
  const recorded = seen.round.status?.waitingSince
  const since = recorded === undefined ? seen.now : Date.parse(recorded)
  const until = since + seen.round.spec.startDeadlineSeconds * 1000
  if (seen.now >= until) {
    return failed(
      'StartDeadlineExceeded',
      `waited ${seen.round.spec.startDeadlineSeconds} s (startDeadlineSeconds): ${message}`,
    )
  }
  return { kind: 'waiting', reason, message: `${message}; waiting until ${timestamp(until)}`, since, until }
}

function failed(reason: string, message: string): Situation {
  return { kind: 'ended', outcome: 'Failed', reason, message }
}

function complete(reason: string, message: string): Situation {
  return { kind: 'ended', outcome: 'Complete', reason, message }
}
