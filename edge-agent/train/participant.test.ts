import { pino } from 'pino'
import { beforeEach, describe, expect, it } from 'vitest'

import type { Assignment, ParticipantMessage } from '#federation/wire/generated/tributary.ts'

import type { Work } from './assignments.ts'
import { TrainingFailure } from './failures.ts'
import { Participant } from './participant.ts'

interface Job {
  readonly work: Work
  readonly signal: AbortSignal
  readonly end: (message?: ParticipantMessage) => void
  readonly fail: (error: Error) => void
}

let jobs: Job[]
let said: ParticipantMessage[]
let participant: Participant

beforeEach(() => {
  jobs = []
  said = []
  participant = new Participant(
    async (work, _key, signal) =>
      await new Promise((resolve, reject) => {
        const job = { work, signal, end: resolve, fail: reject }
        jobs.push(job)
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error)
        })
      }),
    pino({ level: 'silent' }),
  )
  participant.speakThrough((message) => said.push(message))
})

function train(round: number, deadlineUnixMs = 0): Assignment {
  const value = {
    round,
    graphs: undefined,
    parameters: undefined,
    training: undefined,
    deadlineUnixMs,
    serverControl: undefined,
    measureInitialLoss: false,
    transfer: '{}',
    delta: undefined,
  }
  return { kind: { $case: 'train', value } }
}

function evaluate(round: number): Assignment {
  const value = {
    round,
    graphs: undefined,
    parameters: undefined,
    training: undefined,
    deadlineUnixMs: 0,
    delta: undefined,
  }
  return { kind: { $case: 'evaluate', value } }
}

const idle: Assignment = { kind: { $case: 'idle', value: { reason: 'RoundDone' } } }
const result: ParticipantMessage = {
  kind: { $case: 'evaluation', value: { round: 1, parametersDigest: 'd', samples: 2, metrics: {} } },
}

/** Lets what was started come to its next wait. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

async function give(...assignments: Assignment[]): Promise<void> {
  for (const assignment of assignments) participant.receive(assignment)
  await settle()
}

describe('a participant', () => {
  it('starts repeated work once', async () => {
    await give(train(1), train(1))
    await give(train(1))
    expect(jobs).toHaveLength(1)
  })

  it('knows which round it trains', async () => {
    expect(participant.trainingRound).toBeUndefined()
    await give(train(3))
    expect(participant.trainingRound).toBe(3)
    await give(evaluate(3))
    expect(participant.trainingRound).toBeUndefined()
    await give(train(4))
    jobs.at(-1)?.end()
    await settle()
    expect(participant.trainingRound).toBeUndefined()
  })

  it('gives up a round that a newer one replaces, and never says how it ended', async () => {
    await give(train(1))
    await give(train(2))
    expect(jobs.map(({ signal }) => signal.aborted)).toEqual([true, false])
    expect(said).toEqual([])
  })

  it('never carries out a round that is replaced before it began', async () => {
    await give(train(1), train(2), train(3))
    expect(jobs.map(({ work }) => work.value.round)).toEqual([3])
  })

  it('begins nothing before what it gave up has ended', async () => {
    const order: string[] = []
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const slow = new Participant(
      async ({ value: { round } }) => {
        order.push(`begin ${round}`)
        if (round === 1) await promise
        order.push(`end ${round}`)
        return undefined
      },
      pino({ level: 'silent' }),
    )
    slow.receive(train(1))
    await settle()
    slow.receive(train(2))
    await settle()
    expect(order).toEqual(['begin 1'])
    resolve(undefined)
    await settle()
    expect(order).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2'])
  })

  it('stops when there is nothing to do', async () => {
    await give(train(1))
    await give(idle)
    expect(jobs[0]?.signal.aborted).toBe(true)
  })

  it('says an evaluation, and again on a stream that asks for it again', async () => {
    await give(evaluate(1))
    jobs[0]?.end(result)
    await settle()
    const later: ParticipantMessage[] = []
    participant.speakThrough((message) => later.push(message))
    await give(evaluate(1))
    expect(said).toEqual([result])
    expect(later).toEqual([result])
    expect(jobs).toHaveLength(1)
  })

  it('says why it failed, and tries again in another attempt', async () => {
    await give(train(1, 1000))
    jobs[0]?.fail(new TrainingFailure('DatasetMismatch', 'two columns too few', 'the value 7'))
    await settle()
    const failure = { round: 1, reason: 'DatasetMismatch', message: 'two columns too few' }
    expect(said).toEqual([{ kind: { $case: 'failure', value: failure } }])
    await give(train(1, 2000))
    expect(jobs).toHaveLength(2)
  })

  it.each([
    {
      name: 'a full disk',
      error: Object.assign(new Error('no space'), { code: 'ENOSPC' }),
      want: 'DiskUnusable',
    },
    { name: 'anything else', error: new Error('unforeseen'), want: 'InternalError' },
  ])('names $name', async ({ error, want }) => {
    await give(train(1))
    jobs[0]?.fail(error)
    await settle()
    expect(said).toMatchObject([{ kind: { value: { reason: want, message: error.message } } }])
  })

  it('finishes with the reason of the hub', async () => {
    await give(train(1))
    await give({ kind: { $case: 'finished', value: { reason: 'Completed' } } })
    expect(await participant.finished).toBe('Completed')
    expect(jobs[0]?.signal.aborted).toBe(true)
  })
})
