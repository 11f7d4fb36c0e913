/*
 * A training pod as the tiers see it: the edge agent's own participant and way up, from the hub to the controller that it introduces
 * and back again when that is silent. What it does when it is told to train is the caller's.
 */
import { mkdir } from 'node:fs/promises'
import { pino } from 'pino'
import { TrainingFailure } from '#edge-agent/train/failures.ts'
import type { Work } from '#edge-agent/train/assignments.ts'
import { ParentMemory } from '#edge-agent/train/parent-memory.ts'
import { Participant } from '#edge-agent/train/participant.ts'
import { Uplink } from '#edge-agent/train/uplink.ts'
import type { BackoffOptions } from '#federation/wire/backoff.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import type { ParticipantMessage, TrainAssignment } from '#federation/wire/generated/tributary.ts'
import { HubHttp, type HubRequest } from '#federation/wire/http.ts'
import { CAMPAIGN } from '#federation/tier/testing/plans.ts'
import type { Parent } from './delivery.ts'

export interface PodOptions {
  readonly hub: HubEndpoint
  /** What it remembers of its parents lies there. */
  readonly folder: string
  readonly nameOf: (endpoint: HubEndpoint) => string
  /** Sends the update, or says in a sentence why the node cannot train. */
  readonly train: (assignment: TrainAssignment, way: Way, signal: AbortSignal) => Promise<string | undefined>
  /** A moment before an evaluation is answered. */
  readonly evaluate?: (signal: AbortSignal) => Promise<unknown>
  readonly random: () => number
  /** Between attempts to open a stream. */
  readonly backoff: BackoffOptions
  /** How much faster than it is time passes while a parent is silent. */
  readonly clockSpeed: number
  readonly signal: AbortSignal
}

/** How a pod's requests go. */
export interface Way {
  /** To whoever is its parent at that moment, as the pod itself sends. */
  readonly parent: Parent
  /** The same as a connection of its own to the parent of now, which does not know of a later one. */
  readonly aside: () => Parent & { readonly close: () => void }
}

/** Fulfilled when the signal ends it. */
export async function runPod(options: PodOptions): Promise<void> {
  const { hub, folder, nameOf, random, backoff, clockSpeed, signal } = options
  const log = pino({ level: 'silent' })
  await mkdir(folder, { recursive: true })
  const memory = new ParentMemory(folder, log)
  let present = hub
  let answeredBy = ''
  const connect = (endpoint: HubEndpoint): HubHttp => {
    present = endpoint
    return new TellingHttp(endpoint, () => (answeredBy = nameOf(endpoint)))
  }
  const now = (): number => performance.now() * clockSpeed
  const uplink = await Uplink.open({ hub, connect, memory, log, random, now, backoff })
  const way: Way = {
    parent: {
      http: uplink,
      get answeredBy() {
        return answeredBy
      },
    },
    aside: () => connectionTo(present, nameOf),
  }
  let newest = 0
  const own = new Participant(async (work, _key, ended) => {
    newest = Math.max(newest, work.value.round)
    return await carryOut(options, { work, way }, ended)
  }, log)
  const listener = {
    hello: () => ({ campaign: CAMPAIGN, softwareVersion: 'test', round: own.trainingRound ?? newest }),
    speakThrough: own.speakThrough.bind(own),
    receive: own.receive.bind(own),
    settled: () => undefined,
  }
  await uplink.follow(listener, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
  own.stop('the test is over')
  await memory.written()
}

/** A connection of its own to one tier, whoever asks. */
export function connectionTo(
  endpoint: HubEndpoint,
  nameOf: PodOptions['nameOf'],
): Parent & { readonly close: () => void } {
  const http = new HubHttp(endpoint)
  return { http, answeredBy: nameOf(endpoint), close: () => http.destroy() }
}

async function carryOut(
  { train, evaluate }: PodOptions,
  { work, way }: { work: Work; way: Way },
  signal: AbortSignal,
): Promise<ParticipantMessage | undefined> {
  if (work.kind === 'train') {
    const reason = await train(work.value, way, signal)
    if (reason !== undefined) throw new TrainingFailure('DatasetUnreadable', reason)
    return undefined
  }
  await evaluate?.(signal)
  const { round, parameters } = work.value
  const value = { round, parametersDigest: parameters?.digest ?? '', samples: 1, metrics: { loss: 0.5 } }
  return { kind: { $case: 'evaluation', value } }
}

/** Tells of each answer. */
class TellingHttp extends HubHttp {
  readonly #onAnswer: () => void

  constructor(endpoint: HubEndpoint, onAnswer: () => void) {
    super(endpoint)
    this.#onAnswer = onAnswer
  }

  override async send(request: HubRequest): ReturnType<HubHttp['send']> {
    const response = await super.send(request)
    this.#onAnswer()
    return response
  }
}
