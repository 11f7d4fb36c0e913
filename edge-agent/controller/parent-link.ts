// An edge controller's way up: one stream and one connection for bytes to the hub, or to the controller that the hub introduced as
// its parent (../parent/standing.ts decides which of them). The plan that comes down is kept before it is followed.
import type { Logger } from 'pino'

import type { BackoffOptions } from '#federation/wire/backoff.ts'
import { createHubClient } from '#federation/wire/channel.ts'
import { type HubEndpoint, controllerEndpoint } from '#federation/wire/endpoint.ts'
import {
  AggregationClient,
  type AggregatorHello,
  type AggregatorMessage,
  type IntermediateOffer,
  type OfferAnswer,
  type TierAssignment,
  type TierPlan,
} from '#federation/wire/generated/tributary.ts'
import { HubHttp, type HubRequest } from '#federation/wire/http.ts'
import { EPOCH_FENCED } from '#federation/wire/names.ts'
import { Pacer } from '#federation/wire/pacer.ts'
import { keepStreamOpen } from '#federation/wire/stream.ts'

import {
  type Event,
  type Standing,
  advance,
  isSamePlace,
  nextChangeMs,
  standingAtStart,
} from '../parent/standing.ts'
import { type Parent, reasonOf } from './delivery.ts'

export interface ParentLinkOptions {
  readonly hub: HubEndpoint
  readonly hello: AggregatorHello
  /** Of what is sent together, and of each blob that is fetched; undefined: as fast as the link. */
  readonly bytesPerSecond?: number | undefined
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number
  readonly backoff?: BackoffOptions | undefined
  readonly signal: AbortSignal
}

export interface LinkListener {
  /** From now on messages go to this stream, which was opened anew. */
  readonly speakThrough: (send: (message: AggregatorMessage) => void) => void
  readonly receive: (plan: TierPlan) => void
  readonly onFenced: (detail: string) => void
}

/** How often the clock is looked at while time decides: a machine may sleep, and its timers with it. */
const LOOK_MS = 1_000
const OFFER_DEADLINE_MS = 30_000

interface Place {
  readonly name: string
  readonly endpoint: HubEndpoint
  readonly http: HubHttp
  /** Of the newest stream, whose connection offers take, too: one of its own would have waiting times of its own. */
  client: AggregationClient
  readonly over: AbortController
}

export class ParentLink implements Parent {
  readonly #options: ParentLinkOptions
  readonly #pacer: Pacer | undefined
  #standing: Standing
  #at: Place
  #timer: NodeJS.Timeout | undefined
  #connected = false

  constructor(options: ParentLinkOptions) {
    this.#options = options
    const { bytesPerSecond } = options
    this.#pacer = bytesPerSecond === undefined ? undefined : new Pacer(bytesPerSecond)
    this.#standing = standingAtStart(undefined, options.now())
    this.#at = this.#connect()
  }

  get place(): string {
    return this.#at.name
  }

  /** Whether the parent has said something on the stream that is open. */
  get connected(): boolean {
    return this.#connected
  }

  async send(request: HubRequest): ReturnType<HubHttp['send']> {
    const { http, over } = this.#at
    return await http.send({ ...request, signal: AbortSignal.any([request.signal, over.signal]) })
  }

  async offer(offer: IntermediateOffer, signal: AbortSignal): Promise<OfferAnswer> {
    const { client } = this.#at
    return await new Promise((resolve, reject) => {
      const deadline = this.#options.now() + OFFER_DEADLINE_MS
      const call = client.offer(offer, (error, answer) => {
        signal.removeEventListener('abort', cancel)
        clearTimeout(timer)
        if (error) reject(error)
        else resolve(answer)
      })
      const cancel = (): void => call.cancel()
      const timer = setTimeout(cancel, deadline - this.#options.now())
      signal.addEventListener('abort', cancel, { once: true })
      if (signal.aborted) cancel()
    })
  }

  /** Rejects with the signal's reason, and never otherwise. */
  async follow(listener: LinkListener): Promise<never> {
    const { signal } = this.#options
    try {
      for (;;) {
        const { over } = this.#at
        await this.#followPlace(listener, AbortSignal.any([signal, over.signal])).catch((error: unknown) => {
          signal.throwIfAborted()
          if (!over.signal.aborted) throw error
        })
      }
    } finally {
      clearTimeout(this.#timer)
      this.#leave(new Error('the controller stops'))
    }
  }

  async #followPlace(listener: LinkListener, signal: AbortSignal): Promise<never> {
    const { log, random, hello, backoff } = this.#options
    const place = this.#at
    const { endpoint, name } = place
    return await keepStreamOpen<AggregatorMessage, TierAssignment>({
      open: () => {
        place.client.close()
        place.client = createHubClient(AggregationClient, endpoint)
        const { client } = place
        return { call: client.aggregate(), close: () => client.close() }
      },
      onOpen: (send) => {
        send({ kind: { $case: 'hello', value: hello } })
        listener.speakThrough(send)
      },
      onMessage: (assignment) => {
        this.#connected = true
        this.#receive(assignment, listener)
      },
      onRetry: (error, waitMs) => {
        this.#connected = false
        log.warn({ error: error.message, waitMs }, `stream to ${name}: trying again`)
        const isFenced = reasonOf(error) === EPOCH_FENCED
        if (isFenced) listener.onFenced(error.message)
        this.#note({ kind: isFenced ? 'dismissed' : 'lost' })
      },
      signal,
      random,
      backoff,
    })
  }

  #receive({ kind }: TierAssignment, listener: LinkListener): void {
    if (kind?.$case === 'parent') {
      this.#note({ kind: 'introduced', parent: kind.value })
      return
    }
    this.#note({ kind: 'answered' })
    if (kind?.$case === 'plan') listener.receive(kind.value)
  }

  #note(event: Event): void {
    const { now, random, log } = this.#options
    const before = this.#standing
    const after = advance(before, event, { nowMs: now(), random: random() })
    this.#standing = after
    if (!isSamePlace(before, after)) {
      try {
        const place = this.#connect()
        this.#leave(new Error('the parent changed'))
        this.#at = place
        log.info({ parent: place.name }, 'parent changed')
      } catch (error) {
        this.#standing = before
        log.error({ error: String(error) }, 'a parent was introduced that cannot be one')
      }
    }
    this.#wakeLater()
  }

  #leave(reason: Error): void {
    const { over, http, client } = this.#at
    this.#connected = false
    over.abort(reason)
    http.destroy()
    client.close()
  }

  #connect(): Place {
    const { hub } = this.#options
    const { at, parent } = this.#standing
    const endpoint = at === 'controller' && parent ? controllerEndpoint(parent, hub.readToken) : hub
    return {
      name: at === 'controller' && parent ? `${parent.tier}/${parent.epoch}` : 'hub',
      ...{ endpoint, client: createHubClient(AggregationClient, endpoint) },
      http: new HubHttp(endpoint, { pacer: this.#pacer }),
      over: new AbortController(),
    }
  }

  #wakeLater(): void {
    clearTimeout(this.#timer)
    const dueMs = nextChangeMs(this.#standing)
    if (dueMs === undefined || this.#options.signal.aborted) return
    const waitMs = Math.max(1, Math.min(LOOK_MS, Math.ceil(dueMs - this.#options.now())))
    this.#timer = setTimeout(() => this.#note({ kind: 'timePassed' }), waitMs)
  }
}
