import { describe, expect, it } from 'vitest'

import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import type { Round } from '#federation/tier/rounds/round.ts'
import type { AttemptRecord } from '#federation/tier/store/records.ts'
import { campaignPlan } from '#federation/tier/testing/plans.ts'
import type { RoundBasis, RoundPlan, TierPlan } from '#federation/wire/generated/tributary.ts'

import { attemptOf, endOfOvertaken, resultOf, startRecordOf } from './round-plan.ts'

const NOW = 1_000_000
const base = { digest: 'sha256:base', size: 16 }
const nodes = ['a', 'b', 'c']

function tierPlan(basis: Partial<RoundBasis> = {}): TierPlan {
  const whole = {
    round: 2,
    parameters: base,
    learningRate: 0.5,
    population: 9,
    delta: undefined,
    counted: [],
    ...basis,
  }
  return {
    epoch: 1,
    plan: undefined,
    start: undefined,
    basis: whole,
    merged: undefined,
    settledRound: 0,
    tokenKeys: undefined,
    agentUsername: '',
  }
}

interface Known {
  round?: Partial<RoundPlan>
  current?: Partial<Round> & { attempt: AttemptRecord }
  finished?: boolean
}

function campaign({ round = {}, current, finished = false }: Known = {}): Pick<
  Campaign,
  'plan' | 'start' | 'current'
> {
  const usual = {
    ...campaignPlan().round!,
    round: 2,
    participants: nodes,
    minimumUpdates: 2,
    deadlineSeconds: 30,
  }
  const plan = { ...campaignPlan(), round: { ...usual, ...round }, finished }
  return { plan, start: {}, current } as unknown as Pick<Campaign, 'plan' | 'start' | 'current'>
}

const attempt = attemptOf(tierPlan(), campaign(), NOW)!

function current(changes: Partial<Round> = {}, collecting = true): Known['current'] {
  return {
    ...{ number: 2, attempt, updates: new Map(), isCollecting: () => collecting, isShort: () => !collecting },
    ...changes,
  }
}

describe('the round that an edge controller opens', () => {
  it('is what its parent says, with its own quorum and deadline', () => {
    expect(attempt).toEqual({
      ...{
        round: 2,
        attempt: 1,
        participants: nodes,
        minimumUpdates: 2,
        openedMs: NOW,
        deadlineMs: NOW + 30_000,
      },
      ...{ base, state: {}, learningRate: 0.5, population: 9 },
    })
  })

  it('may be any later one: a controller may have been away, or be new', () => {
    const far = attemptOf(
      tierPlan({ round: 40 }),
      campaign({ round: { round: 40 }, current: current()! }),
      NOW,
    )
    expect(far).toMatchObject({ round: 40, openedMs: NOW })
  })

  it('waits for nobody whose update counts already, and asks for as many fewer', () => {
    const opened = attemptOf(tierPlan({ counted: ['b'] }), campaign(), NOW)
    expect(opened).toMatchObject({ participants: ['a', 'c'], minimumUpdates: 1 })
    const shrunk = attemptOf(tierPlan({ counted: ['b'] }), campaign({ current: current()! }), NOW + 5)
    expect(shrunk).toEqual({ ...attempt, participants: ['a', 'c'], minimumUpdates: 1 })
  })

  it('keeps whom it has an update of', () => {
    const updates = new Map([['b', {}]]) as unknown as Round['updates']
    expect(
      attemptOf(tierPlan({ counted: ['b'] }), campaign({ current: current({ updates })! }), NOW),
    ).toBeUndefined()
  })

  it('is opened again for a further attempt, also when the one before ended short', () => {
    const again = campaign({ round: { attempt: 2 }, current: current({}, false)! })
    expect(attemptOf(tierPlan(), again, NOW + 7)).toMatchObject({ attempt: 2, openedMs: NOW + 7 })
  })

  it('offers the difference of the parameters that its parent offers', () => {
    const blob = { digest: 'sha256:delta', size: 3 }
    expect(
      attemptOf(tierPlan({ delta: { baseDigest: 'sha256:old', blob } }), campaign(), NOW)?.delta,
    ).toEqual({
      ...{ baseDigest: 'sha256:old', blob },
    })
  })

  const nothing: [string, TierPlan | undefined, Known][] = [
    ['without a plan', undefined, {}],
    ['when the basis is of another round', tierPlan({ round: 3 }), {}],
    ['when the campaign is finished', tierPlan(), { finished: true }],
    ['when it is open already', tierPlan(), { current: current()! }],
    ['when it ended short and nothing new is asked', tierPlan(), { current: current({}, false)! }],
    [
      'when it is committed',
      tierPlan(),
      { round: { attempt: 2 }, current: current({ commit: {} as never }, false)! },
    ],
    ['when a later one was opened', tierPlan(), { current: current({ number: 3 })! }],
  ]
  it.each(nothing)('is none %s', (_when, plan, known) => {
    expect(attemptOf(plan, campaign(known), NOW)).toBeUndefined()
  })
})

describe('a round that the parent has left behind', () => {
  const round = (collecting: boolean, updates: number): Pick<Round, 'updates' | 'isCollecting'> => {
    const accepted = Array.from({ length: updates }, (_, k) => [`n${k}`, {}] as const)
    return { updates: new Map(accepted) as unknown as Round['updates'], isCollecting: () => collecting }
  }
  it('hands on what it has, and ends short with nothing', () => {
    expect(endOfOvertaken(round(true, 1))).toBe('commit')
    expect(endOfOvertaken(round(true, 0))).toBe('short')
    expect(endOfOvertaken(round(false, 1))).toBeUndefined()
  })
})

describe('what the parent says', () => {
  it('is refused with the field that is missing', () => {
    const start = {
      graphs: undefined,
      parameters: base,
      baseVersion: 1,
      baseDigest: 'd',
      trainableCount: 4,
      tensors: [],
      localRanges: [],
    }
    expect(() => startRecordOf(start)).toThrow("the parent's plan has no start.graphs")
  })

  it('becomes the result of the round as it is', () => {
    const merged = {
      round: 2,
      parameters: base,
      delta: undefined,
      evaluationDeadlineUnixMs: 5,
      evaluators: ['a'],
    }
    expect(resultOf(merged, NOW)).toEqual({
      ...{ parameters: base, state: {}, mergedMs: NOW, evaluationDeadlineMs: 5, evaluators: ['a'] },
    })
  })
})
