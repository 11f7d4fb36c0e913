import { describe, expect, it } from 'vitest'

import {
  type Assignment,
  HoldoutSplit,
  type ParticipantMessage,
  type TrainAssignment,
} from '#federation/wire/generated/tributary.ts'

import { type Situation, type Work, react, workKey } from './assignments.ts'

const blob = (letter: string) => ({ digest: `sha256:${letter.repeat(64)}`, size: 1 })

function value(changes: Partial<TrainAssignment> = {}): TrainAssignment {
  return {
    round: 1,
    graphs: { manifest: blob('a'), trainingStep: blob('b'), evaluation: blob('c') },
    parameters: blob('d'),
    training: {
      epochs: 1,
      learningRate: 0.1,
      seed: 7,
      holdoutFraction: 0.2,
      holdoutSplit: HoldoutSplit.TAIL,
    },
    deadlineUnixMs: 1000,
    serverControl: undefined,
    measureInitialLoss: false,
    transfer: '{}',
    delta: undefined,
    ...changes,
  }
}

const train = (changes: Partial<TrainAssignment> = {}): Work => ({ kind: 'train', value: value(changes) })
const evaluate = (changes: Partial<TrainAssignment> = {}): Work => ({
  kind: 'evaluate',
  value: value(changes),
})
const assigned = ({ kind, value: told }: Work): Assignment => ({
  kind: { $case: kind, value: told } as NonNullable<Assignment['kind']>,
})
const failed: ParticipantMessage = {
  kind: { $case: 'failure', value: { round: 1, reason: 'DatasetMismatch', message: '' } },
}
const answered = (work: Work, message?: ParticipantMessage) => ({
  answered: { key: workKey(work), deadlineUnixMs: work.value.deadlineUnixMs, ...(message && { message }) },
})

describe('react', () => {
  const cases: { name: string; situation: Situation; assignment: Assignment; want: string }[] = [
    { name: 'the first work starts', situation: {}, assignment: assigned(train()), want: 'start' },
    {
      name: 'the same work, repeated, carries on',
      situation: { running: workKey(train()) },
      assignment: assigned(train()),
      want: 'carryOn',
    },
    {
      name: 'the same work with a later deadline carries on',
      situation: { running: workKey(train()) },
      assignment: assigned(train({ deadlineUnixMs: 9000 })),
      want: 'carryOn',
    },
    {
      name: 'a newer round replaces what is running',
      situation: { running: workKey(train()) },
      assignment: assigned(train({ round: 2 })),
      want: 'start',
    },
    {
      name: 'an evaluation replaces a training',
      situation: { running: workKey(train()) },
      assignment: assigned(evaluate()),
      want: 'start',
    },
    {
      name: 'an accepted update is not sent again in the same attempt',
      situation: answered(train()),
      assignment: assigned(train()),
      want: 'carryOn',
    },
    {
      name: 'a failure is told again in the same attempt',
      situation: answered(train(), failed),
      assignment: assigned(train()),
      want: 'repeatAnswer',
    },
    {
      name: 'what failed is tried again in another attempt',
      situation: answered(train(), failed),
      assignment: assigned(train({ deadlineUnixMs: 9000 })),
      want: 'start',
    },
    {
      name: 'an evaluation is told again',
      situation: answered(evaluate(), failed),
      assignment: assigned(evaluate()),
      want: 'repeatAnswer',
    },
    {
      name: 'the answer to something else is not told',
      situation: answered(train(), failed),
      assignment: assigned(train({ round: 2 })),
      want: 'start',
    },
    {
      name: 'what is running goes before what was answered',
      situation: { ...answered(train()), running: workKey(train({ round: 2 })) },
      assignment: assigned(train()),
      want: 'start',
    },
    {
      name: 'idle stops the work',
      situation: { running: workKey(train()) },
      assignment: { kind: { $case: 'idle', value: { reason: 'RoundDone' } } },
      want: 'stop',
    },
    ...['WaitingForRound', 'CompilingTraining', 'WaitingForController'].map((reason) => ({
      name: `a parent that has no round yet (${reason}) takes nothing away`,
      situation: { running: workKey(train()) },
      assignment: { kind: { $case: 'idle', value: { reason } } } satisfies Assignment,
      want: 'carryOn',
    })),
    {
      name: 'another parent is no reason to stop',
      situation: { running: workKey(train()) },
      assignment: {
        kind: {
          $case: 'parent',
          value: { tier: 'north', epoch: 1, address: '192.0.2.1:7443', certificate: '' },
        },
      },
      want: 'carryOn',
    },
    {
      name: 'finished ends it all',
      situation: {},
      assignment: { kind: { $case: 'finished', value: { reason: 'Completed' } } },
      want: 'finish',
    },
    {
      name: 'an unknown kind stops the work',
      situation: { running: workKey(train()) },
      assignment: { kind: undefined },
      want: 'stop',
    },
  ]
  it.each(cases)('$name', ({ situation, assignment, want }) => {
    expect(react(situation, assignment).kind).toBe(want)
  })
})

describe('workKey', () => {
  it.each([
    { name: 'round', changes: { round: 2 } },
    { name: 'parameters', changes: { parameters: blob('e') } },
    { name: 'graphs', changes: { graphs: { ...value().graphs!, trainingStep: blob('e') } } },
    { name: 'learning rate', changes: { training: { ...value().training!, learningRate: 0.2 } } },
    { name: 'seed', changes: { training: { ...value().training!, seed: 8 } } },
    { name: 'split', changes: { training: { ...value().training!, holdoutSplit: HoldoutSplit.RANDOM } } },
  ])('differs with the $name', ({ changes }) => {
    expect(workKey(train(changes))).not.toBe(workKey(train()))
  })

  it('does not depend on the deadline', () => {
    expect(workKey(train({ deadlineUnixMs: 5 }))).toBe(workKey(train()))
  })
})
