/*
 * A training pod as the hub sees it: the edge agent's own participant and stream, whose training takes a moment and makes the
 * ledger's vector. Every training that it is told to do is handed to the caller before it begins.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import type { Work } from '#edge-agent/train/assignments.ts'
import { Participant } from '#edge-agent/train/participant.ts'
import type { BackoffOptions } from '#federation/wire/backoff.ts'
import { createHubClient } from '#federation/wire/channel.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import { ParticipationClient, type ParticipantMessage } from '#federation/wire/generated/tributary.ts'
import { keepStreamOpen } from '#federation/wire/stream.ts'
import { deliver, type RoundAtEdge } from '../ledger/delivery.ts'
import type { Dice } from '../ledger/dice.ts'
import { connectionTo } from '../ledger/pod.ts'
import { HUB } from '../ledger/tree.ts'

export interface PodOptions {
  /** Its node, by number. */
  readonly participant: number
  /** What it knows of a round that it is told to train. */
  readonly enter: (round: number, parameters: string) => RoundAtEdge
  readonly campaign: string
  /** The hub, as its pod knows it. */
  readonly hub: () => HubEndpoint
  readonly onTraining: (participant: number, round: number) => void
  readonly dice: Dice
  readonly backoff: BackoffOptions
  /** The longest that a training takes. */
  readonly trainingMs: number
  readonly signal: AbortSignal
}

/** Fulfilled when the signal ends it. */
export async function runPod(options: PodOptions): Promise<void> {
  const { campaign, hub, dice, backoff, signal } = options
  const own = new Participant(
    (work, _key, ended) => carryOut(options, work, ended),
    pino({ level: 'silent' }),
  )
  const ending = keepStreamOpen({
    open: () => {
      const client = createHubClient(ParticipationClient, hub())
      return { call: client.participate(), close: () => client.close() }
    },
    onOpen: (send) => {
      own.speakThrough(send)
      const value = { campaign, softwareVersion: 'test', round: own.trainingRound ?? 0 }
      send({ kind: { $case: 'hello', value } })
    },
    onMessage: (assignment) => own.receive(assignment),
    onRetry: () => undefined,
    ...{ signal, random: dice.uniform, backoff },
  })
  await ending.catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
  own.stop('the test is over')
}

async function carryOut(
  { participant, hub, enter, onTraining, dice, backoff, trainingMs }: PodOptions,
  work: Work,
  signal: AbortSignal,
): Promise<ParticipantMessage | undefined> {
  const { round, parameters } = work.value
  const own = dice.fork(`${work.kind} ${round}`)
  if (work.kind === 'train') onTraining(participant, round)
  await sleep(own.between(0, trainingMs), undefined, { signal })
  const parametersDigest = parameters?.digest ?? ''
  if (work.kind === 'evaluate') {
    const value = { round, parametersDigest, samples: 1, metrics: { loss: 0.5 } }
    return { kind: { $case: 'evaluation', value } }
  }
  const to = connectionTo(hub(), () => HUB)
  const delivery = { participant, variant: 0, to, signal, dice: own, backoff }
  await deliver(enter(round, parametersDigest), delivery).finally(to.close)
  return undefined
}
