// A training pod's way up: one stream and one connection for bytes to the parent of the moment (../parent/standing.ts decides which). A
// change of parents ends what was under way between the two and nothing else: training goes on, transfers begin again where the
// next parent is, and only once that one has said that it wants them.
import type { Logger } from 'pino'

import type { BackoffOptions } from '#federation/wire/backoff.ts'
import { createHubClient } from '#federation/wire/channel.ts'
import { type HubEndpoint, controllerEndpoint } from '#federation/wire/endpoint.ts'
import {
  type Assignment,
  type Parent,
  ParticipationClient,
  type ParticipantHello,
  type ParticipantMessage,
} from '#federation/wire/generated/tributary.ts'
import type { HubHttp, HubRequest, Sender } from '#federation/wire/http.ts'
import { EPOCH_FENCED, REASON_TRAILER } from '#federation/wire/names.ts'
import { keepStreamOpen } from '#federation/wire/stream.ts'

import { Gate } from './gate.ts'
import type { ParentMemory } from './parent-memory.ts'
import {
  type Event,
  type Standing,
  advance,
  isSamePlace,
  nextChangeMs,
  standingAtStart,
} from '../parent/standing.ts'
import { retryLogger } from './sending.ts'

export interface UplinkOptions {
  readonly hub: HubEndpoint
  readonly connect: (endpoint: HubEndpoint) => HubHttp
  readonly memory: ParentMemory
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number
  /** Between attempts to open a stream; as everywhere unless given. */
  readonly backoff?: BackoffOptions
}

/** How often the clock is looked at while time decides: a machine may sleep, and its timers with it. */
const LOOK_MS = 1_000

/** Whoever acts on what the parents say. */
export interface Listener {
  readonly hello: () => ParticipantHello
  /** From now on messages go to this stream, which was opened anew. */
  readonly speakThrough: (send: (message: ParticipantMessage) => void) => void
  readonly receive: (assignment: Assignment) => void
  /** Updates trained from rounds up to this one are settled. */
  readonly settled: (round: number) => void
}

/** The connection to one parent. */
interface Place {
  readonly endpoint: HubEndpoint
  readonly http: HubHttp
  readonly over: AbortController
}

export class Uplink implements Sender {
  readonly #options: UplinkOptions
  /** Open while the present parent wants work done: what is asked of others is not known to it. */
  readonly #gate = new Gate()
  #standing: Standing
  #place: Place
  #timer: NodeJS.Timeout | undefined

  static async open(options: UplinkOptions): Promise<Uplink> {
    return new Uplink(options, standingAtStart(await options.memory.read(), options.now()))
  }

  private constructor(options: UplinkOptions, standing: Standing) {
    this.#options = options
    this.#standing = standing
    this.#place = this.#connect()
  }

  /** Whether an edge controller was ever introduced: then what one has accepted may still be asked for by another. */
  get hasMetControllers(): boolean {
    return Object.keys(this.#standing.epochs).length > 0
  }

  /** A request to the parent of the moment, once that one has given work. */
  async send(request: HubRequest): ReturnType<HubHttp['send']> {
    await this.#gate.passed(request.signal)
    const { http, over } = this.#place
    return await http.send({ ...request, signal: AbortSignal.any([request.signal, over.signal]) })
  }

  /** Rejects with the signal's reason, and never otherwise. */
  async follow(listener: Listener, signal: AbortSignal): Promise<never> {
    this.#wakeLater()
    try {
      for (;;) {
        const { over } = this.#place
        await this.#followPlace(listener, AbortSignal.any([signal, over.signal])).catch((error: unknown) => {
          signal.throwIfAborted()
          if (!over.signal.aborted) throw error
        })
      }
    } finally {
      clearTimeout(this.#timer)
      this.#place.http.destroy()
    }
  }

  async #followPlace(listener: Listener, signal: AbortSignal): Promise<never> {
    const { log, random, backoff } = this.#options
    const { endpoint } = this.#place
    const logRetry = retryLogger(log, `stream to ${this.#name()}`)
    return await keepStreamOpen<ParticipantMessage, Assignment>({
      open: () => {
        const client = createHubClient(ParticipationClient, endpoint)
        return { call: client.participate(), close: () => client.close() }
      },
      onOpen: (send) => {
        listener.speakThrough(send)
        send({ kind: { $case: 'hello', value: listener.hello() } })
      },
      onMessage: (assignment) => {
        this.#receive(assignment, listener)
      },
      onRetry: (error, waitMs) => {
        logRetry(error, waitMs)
        this.#note({ kind: isDismissal(error) ? 'dismissed' : 'lost' })
      },
      signal,
      random,
      backoff,
    })
  }

  #receive(assignment: Assignment, listener: Listener): void {
    const { kind, settledRound } = assignment
    if (settledRound !== undefined) listener.settled(settledRound)
    if (kind?.$case === 'parent') {
      this.#introduce(kind.value)
      return
    }
    this.#note({ kind: 'answered' })
    listener.receive(assignment)
    if (kind?.$case === 'train' || kind?.$case === 'evaluate') this.#gate.open()
  }

  #introduce(parent: Parent): void {
    const { log, hub } = this.#options
    try {
      controllerEndpoint(parent, hub.readToken)
    } catch (error) {
      log.error(
        { tier: parent.tier, error: String(error) },
        'an edge controller was introduced that cannot be one',
      )
      return
    }
    // The hub wants no work of this pod itself.
    if (this.#standing.at === 'hub') this.#gate.close()
    this.#note({ kind: 'introduced', parent })
  }

  #note(event: Event): void {
    const { now, random, memory } = this.#options
    const before = this.#standing
    this.#standing = advance(before, event, { nowMs: now(), random: random() })
    memory.keep(this.#standing)
    if (!isSamePlace(before, this.#standing)) this.#move()
    this.#wakeLater()
  }

  #move(): void {
    const before = this.#place
    this.#gate.close()
    this.#place = this.#connect()
    this.#options.log.info({ parent: this.#name() }, 'parent changed')
    before.over.abort(new Error('the parent changed'))
    before.http.destroy()
  }

  #connect(): Place {
    const { hub, connect } = this.#options
    const { at, parent } = this.#standing
    const endpoint = at === 'controller' && parent ? controllerEndpoint(parent, hub.readToken) : hub
    return { endpoint, http: connect(endpoint), over: new AbortController() }
  }

  #name(): string {
    const { at, parent } = this.#standing
    return at === 'controller' && parent
      ? `the edge controller of ${parent.tier}, epoch ${parent.epoch}`
      : 'the hub'
  }

  #wakeLater(): void {
    clearTimeout(this.#timer)
    const dueMs = nextChangeMs(this.#standing)
    if (dueMs === undefined) return
    const waitMs = Math.max(1, Math.min(LOOK_MS, Math.ceil(dueMs - this.#options.now())))
    this.#timer = setTimeout(() => this.#note({ kind: 'timePassed' }), waitMs)
  }
}

/** The parent's own word that another has taken over. */
function isDismissal(error: Error): boolean {
  const { metadata } = error as Partial<{ metadata: { get: (key: string) => unknown[] } }>
  return metadata?.get(REASON_TRAILER)[0] === EPOCH_FENCED
}
