// The conditions of a FederatedRound, said from its situation alone. docs/api.md lists every reason used here.
import type { RoundState } from '#federation/wire/generated/tributary.ts'
import type { ConditionFacts } from '#operator/conditions.ts'
import { timestamp } from '#operator/conditions.ts'
import { isReady } from '#operator/objects.ts'
import type { Observation } from './decision.ts'
import { isBuffered } from './plan.ts'
import { because, poolOf } from './situation.ts'
import type { Situation } from './situation.ts'
import { controllersFact } from './tier-status.ts'
import type { Placement } from './tiers.ts'

type Verdict = Omit<ConditionFacts, 'type'>

export function conditionFacts(
  seen: Observation,
  situation: Situation,
  placed: Placement[],
): ConditionFacts[] {
  const progressing = progressingFact(seen, situation)
  return [
    { type: 'Ready', ...readyFact(situation, progressing) },
    { type: 'ModelReady', ...modelFact(seen, situation) },
    { type: 'ParticipantsAvailable', ...participantsFact(seen, situation) },
    ...controllersFact(seen, placed),
    { type: 'Progressing', ...progressing },
    { type: 'Complete', ...endFact(situation, 'Complete', 'InProgress', 'the campaign is not complete') },
    { type: 'Failed', ...endFact(situation, 'Failed', 'NotFailed', 'the campaign has not failed') },
  ]
}

function progressingFact({ round: { spec } }: Observation, situation: Situation): Verdict {
  switch (situation.kind) {
    case 'ended': {
      const reason =
        situation.outcome === 'Failed'
          ? 'Failed'
          : situation.reason === 'TargetReached'
            ? 'TargetReached'
            : 'Completed'
      return { status: 'False', reason, message: situation.message }
    }
    case 'hubUnreachable':
      return {
        status: 'Unknown',
        reason: 'HubUnreachable',
        message: `the hub does not answer: ${situation.message}`,
      }
    case 'waiting': {
      const reason = situation.reason.startsWith('Model') ? 'WaitingForModel' : 'WaitingForNodes'
      return { status: 'False', reason, message: situation.message }
    }
    case 'suspended':
      return {
        status: 'False',
        reason: 'Suspended',
        message: 'spec.suspend is true; accepted updates are kept',
      }
    case 'backingOff': {
      const { round, until } = situation
      return {
        status: 'True',
        reason: 'RetryingRound',
        message: `round ${round.round}, attempt ${round.attempt} had ${round.received} of at least ${round.minimumUpdates} updates${because(round)}; the next attempt starts at ${timestamp(until)}`,
      }
    }
    case 'running':
      if (situation.round.reason === 'DiskFull') return diskIsFull(situation.round)
      return { status: 'True', reason: 'RoundRunning', message: describe(situation.round, isBuffered(spec)) }
    case 'publishing':
      return {
        status: 'True',
        reason: 'RoundRunning',
        message: `round ${situation.round.round} is being published`,
      }
    case 'planning':
      return {
        status: 'True',
        reason: 'RoundPlanned',
        message: `round ${situation.plan.round}, attempt ${situation.plan.attempt}: asking ${situation.plan.participants.length} nodes`,
      }
  }
}

function diskIsFull({ round, message }: RoundState): Verdict {
  const goesOn = 'what was accepted is kept, and the round goes on when there is room'
  return { status: 'False', reason: 'DiskFull', message: `round ${round}: ${message}; ${goesOn}` }
}

/** Without counts: they have columns of their own, and a message that changes with every update is noise. */
function describe(round: RoundState, buffered: boolean): string {
  switch (round.phase) {
    case 'COLLECTING':
      return `round ${round.round}, attempt ${round.attempt}: ${collecting(round, buffered)} at ${timestamp(round.deadlineUnixMs)} at the latest`
    case 'MERGING':
      return `round ${round.round}: merging ${round.received} updates${because(round)}`
    default:
      return `round ${round.round}: waiting for the nodes' evaluations of the merged model`
  }
}

function collecting({ wanted, participants, minimumUpdates }: RoundState, buffered: boolean): string {
  return buffered
    ? `${participants.length} nodes train, closes with the first ${wanted} updates, or with at least ${minimumUpdates}`
    : `${wanted} nodes were asked, at least ${minimumUpdates} must answer, closes`
}

function readyFact(situation: Situation, progressing: Verdict): Verdict {
  if (situation.kind === 'ended' && situation.outcome === 'Complete')
    return { ...progressing, status: 'True', reason: situation.reason }
  if (situation.kind === 'ended')
    return { status: 'False', reason: situation.reason, message: situation.message }
  if (situation.kind === 'waiting')
    return { status: 'False', reason: situation.reason, message: situation.message }
  return progressing
}

function modelFact(seen: Observation, situation: Situation): Verdict {
  const name = seen.round.spec.modelRef.name
  if (situation.kind === 'ended' && ['ModelRefused', 'TrainingNotPossible'].includes(situation.reason)) {
    return { status: 'False', reason: situation.reason, message: situation.message }
  }
  if (seen.model && seen.campaign.kind === 'unreachable') {
    return {
      status: 'Unknown',
      reason: 'HubUnreachable',
      message: `the hub does not answer: ${seen.campaign.message}`,
    }
  }
  if (!seen.model)
    return {
      status: 'False',
      reason: 'ModelNotFound',
      message: `there is no EdgeModel ${name} in this namespace`,
    }
  if (seen.model.admitted !== 'Yes') {
    const reason = seen.model.admitted === 'Refused' ? 'ModelRefused' : 'ModelNotReady'
    return { status: 'False', reason, message: seen.model.message }
  }
  return { status: 'True', reason: 'ModelReady', message: `EdgeModel ${name} is admitted` }
}

function participantsFact(seen: Observation, situation: Situation): Verdict {
  if (situation.kind === 'waiting' && !situation.reason.startsWith('Model')) {
    return { status: 'False', reason: situation.reason, message: situation.message }
  }
  if (situation.kind === 'ended' && situation.reason === 'StartDeadlineExceeded') {
    return { status: 'False', reason: situation.reason, message: situation.message }
  }
  const pool = poolOf(seen)
  const ready = pool.filter((candidate) => isReady(candidate.node)).length
  const enough = ready >= seen.round.spec.completion.minUpdates
  return {
    status: enough ? 'True' : 'False',
    reason: enough ? 'EnoughNodes' : 'NotEnoughNodes',
    message: `${ready} of ${pool.length} matching nodes are Ready, a round needs ${seen.round.spec.completion.minUpdates}`,
  }
}

function endFact(
  situation: Situation,
  outcome: 'Complete' | 'Failed',
  otherwise: string,
  message: string,
): Verdict {
  if (situation.kind !== 'ended' || situation.outcome !== outcome)
    return { status: 'False', reason: otherwise, message }
  return { status: 'True', reason: situation.reason, message: situation.message }
}
