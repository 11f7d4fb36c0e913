// The round or attempt that the plan asks for, as it is written down when it opens: from then on the plan may change and
// the round stays what it is. A further attempt keeps what the round starts from and trains with.
import { learningRateAt } from '#federation/training/schedule.ts'
import { scheduleOf } from '../plans.ts'
import type { AttemptRecord } from '../store/records.ts'
import type { Campaign } from './campaign.ts'

type Basis = Pick<AttemptRecord, 'base' | 'state' | 'learningRate' | 'population'>

/** Undefined when nothing new is planned, or when it does not follow from what is there. */
export function attemptToOpen(campaign: Campaign, openedMs: number): AttemptRecord | undefined {
  const { plan, start, current } = campaign
  const wanted = plan.round
  if (!wanted || !start || plan.finished) return undefined
  const basis = current?.number === wanted.round ? basisOfAttempt(campaign) : basisOfRound(campaign)
  if (!basis) return undefined
  const { round, attempt, participants, minimumUpdates, deadlineSeconds } = wanted
  const deadlineMs = openedMs + deadlineSeconds * 1000
  return { round, attempt, participants, minimumUpdates, openedMs, deadlineMs, ...basis }
}

function basisOfAttempt({ plan, current }: Campaign): Basis | undefined {
  if (!current || current.commit || (plan.round?.attempt ?? 0) <= current.attempt.attempt) return undefined
  const { base, state, learningRate, population } = current.attempt
  return { base, state, learningRate, population }
}

function basisOfRound({ plan, start, current }: Campaign): Basis | undefined {
  const wanted = plan.round
  const closed = current === undefined || current.closed !== undefined
  if (!closed || wanted?.round !== (current?.number ?? 0) + 1) return undefined
  const base = current ? current.result?.parameters : start?.parameters
  if (!base) return undefined
  const { rounds, population } = wanted
  const { learningRate } = plan.training.local
  const rate = learningRateAt(scheduleOf(plan.training), learningRate, wanted.round, rounds)
  return { base, state: current?.result?.state ?? {}, learningRate: rate, population }
}
