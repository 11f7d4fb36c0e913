// Kubernetes Events (events.k8s.io/v1) for people. The same thing said again about the same object counts up one
// Event's series, also across restarts, because its name is made from what it says. Recording never throws, never
// waits and never grows: what cannot be written is tried again for a while, then counted and dropped.

import { createHash } from 'node:crypto'
import type { KubeClient } from './api.ts'
import type { Clock } from './clock.ts'
import { ApiError, messageOf } from './errors.ts'
import { microTime } from './lease-record.ts'
import type { KubeMetrics } from './metrics.ts'
import { events } from './resources.ts'
import type { Event } from './resources.ts'
import type { Logger, ObjectMeta } from './types.ts'

export interface EventSubject {
  apiVersion: string
  kind: string
  metadata: Pick<ObjectMeta, 'name' | 'namespace' | 'uid'>
}

export interface EventDraft {
  type: 'Normal' | 'Warning'
  /** CamelCase, from a documented list. */
  reason: string
  /** What was done or tried, CamelCase; the reason unless told. */
  action?: string | undefined
  /** Cut to 1024 bytes. */
  note: string
}

export interface EventRecorder {
  /** Returns at once and never throws. */
  record(regarding: EventSubject, draft: EventDraft): void
  /** Writes what is pending; resolves when written or given up. */
  flush(): Promise<void>
}

export interface EventRecorderOptions {
  client: KubeClient
  /** Who reports, for example `tributary.dev/operator`, and which of its instances (the pod's name). */
  controller: string
  instance: string
  clock: Clock
  log: Logger
  metrics: KubeMetrics
  /** A repeated Event is written at most this often, counts collected meanwhile; 30 s unless told. */
  seriesIntervalMs?: number | undefined
  /** Different Events that may wait for being written; 500 unless told. */
  maxPending?: number | undefined
}

const MAX_NOTE_BYTES = 1024
const MAX_REASON_LENGTH = 128
const ATTEMPTS = 3
const MAX_FAILURES = 10

interface Occurrence {
  event: Event
  /** Not yet written. */
  count: number
  lastAtMs: number
  /** How often writing it failed. */
  failures: number
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options)
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #pending = new Map<string, Occurrence>()
  /** Being written, or written a moment ago: a repetition waits for the interval's end. */
  readonly #resting = new Map<string, () => void>()
  readonly #maxPending: number
  #writing: Promise<void> = Promise.resolve()
  #flushing = false

  constructor(options: EventRecorderOptions) {
    this.#options = options
    this.#maxPending = options.maxPending ?? 500
  }

  record(regarding: EventSubject, draft: EventDraft): void {
    const options = this.#options
    const event = eventOf(regarding, draft, options)
    const key = `${event.metadata.namespace ?? ''}/${event.metadata.name}`
    const waiting = this.#pending.get(key)
    if (waiting) {
      waiting.count += 1
      waiting.lastAtMs = options.clock.now()
      return
    }
    if (this.#pending.size >= this.#maxPending) {
      this.#drop(event, 'too many events are waiting')
      return
    }
    this.#pending.set(key, { event, count: 1, lastAtMs: options.clock.now(), failures: 0 })
    if (!this.#resting.has(key)) this.#enqueue(key)
  }

  async flush(): Promise<void> {
    this.#flushing = true
    for (const key of this.#pending.keys()) this.#enqueue(key)
    await this.#writing
    this.#flushing = false
    for (const cancel of this.#resting.values()) cancel()
    this.#resting.clear()
  }

  #enqueue(key: string): void {
    this.#writing = this.#writing.then(() => this.#write(key))
  }

  async #write(key: string): Promise<void> {
    const occurrence = this.#pending.get(key)
    if (!occurrence) return
    this.#pending.delete(key)
    this.#resting.get(key)?.()
    this.#resting.set(key, () => undefined)
    try {
      await writeOccurrence(this.#options.client, occurrence)
    } catch (error) {
      if (this.#isWorthRetrying(error, occurrence)) this.#putBack(key, occurrence)
      else this.#drop(occurrence.event, messageOf(error))
    } finally {
      this.#rest(key)
    }
  }

  #isWorthRetrying(error: unknown, { failures }: Occurrence): boolean {
    if (this.#flushing || failures >= MAX_FAILURES || this.#pending.size >= this.#maxPending) return false
    return error instanceof ApiError && isTransient(error)
  }

  /** It is tried again when its rest is over. */
  #putBack(key: string, occurrence: Occurrence): void {
    const since = this.#pending.get(key)
    const { event, count, lastAtMs, failures } = occurrence
    this.#pending.set(key, {
      event,
      count: count + (since?.count ?? 0),
      lastAtMs: since?.lastAtMs ?? lastAtMs,
      failures: failures + 1,
    })
  }

  #rest(key: string): void {
    const cancel = this.#options.clock.after(this.#options.seriesIntervalMs ?? 30_000, () => {
      this.#resting.delete(key)
      if (this.#pending.has(key)) this.#enqueue(key)
    })
    this.#resting.set(key, cancel)
  }

  #drop(event: Event, message: string): void {
    this.#options.metrics.eventsDropped.inc()
    const { reason, regarding, note } = event
    this.#options.log.warn({ reason, regarding, note, message }, 'event not recorded')
  }
}

function eventOf(regarding: EventSubject, draft: EventDraft, options: EventRecorderOptions): Event {
  const { name, namespace, uid } = regarding.metadata
  const note = cutBytes(draft.note, MAX_NOTE_BYTES)
  const reason = draft.reason.slice(0, MAX_REASON_LENGTH)
  const said = JSON.stringify([regarding.kind, uid, draft.type, reason, note, options.controller])
  const digest = createHash('sha256').update(said).digest('hex').slice(0, 16)
  return {
    apiVersion: events.apiVersion,
    kind: events.kind,
    // Events of objects without a namespace live in `default`, where `kubectl describe` looks for them.
    metadata: { name: `${name.slice(0, 200)}.${digest}`, namespace: namespace ?? 'default' },
    eventTime: microTime(options.clock.now()),
    reportingController: options.controller,
    reportingInstance: options.instance.slice(0, 128),
    action: draft.action ?? reason,
    reason,
    type: draft.type,
    note,
    regarding: { apiVersion: regarding.apiVersion, kind: regarding.kind, namespace, name, uid },
  }
}

/** Creates the Event, or counts up the one that says the same; it may expire in between, hence the attempts. */
async function writeOccurrence(client: KubeClient, occurrence: Occurrence): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await createOrCount(client, occurrence)
      return
    } catch (error) {
      const raced = error instanceof ApiError && (error.isConflict || error.isNotFound)
      if (!raced || attempt === ATTEMPTS) throw error
    }
  }
}

async function createOrCount(client: KubeClient, { event, count, lastAtMs }: Occurrence): Promise<void> {
  const lastObservedTime = microTime(lastAtMs)
  const existing = await createOrGet(
    client,
    count > 1 ? { ...event, series: { count, lastObservedTime } } : event,
  )
  if (!existing) return
  const seen = existing.series?.count ?? 1
  // Made in the same moment by us: an earlier attempt landed whose answer was lost. It is not counted twice.
  const isOurs =
    existing.eventTime === event.eventTime && existing.reportingInstance === event.reportingInstance
  const series = { count: isOurs ? Math.max(seen, count) : seen + count, lastObservedTime }
  if (series.count === seen) return
  const { name, namespace, resourceVersion } = existing.metadata
  await client.mergePatch(events, { name, namespace }, { metadata: { resourceVersion }, series })
}

async function createOrGet(client: KubeClient, event: Event): Promise<Event | undefined> {
  try {
    await client.create(events, event)
    return undefined
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error
    const existing = await client.get(events, event.metadata)
    if (!existing) throw error
    return existing
  }
}

function isTransient({ status, reason }: ApiError): boolean {
  return (status === 0 && reason !== 'NotLeader' && reason !== 'Aborted') || status === 429 || status >= 500
}

/** Cuts at a character's end, marking the cut. */
function cutBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text
  const room = maxBytes - Buffer.byteLength('…')
  const bytes = Buffer.from(text).subarray(0, room)
  return `${bytes.toString('utf8').replace(/\uFFFD+$/, '')}…`
}
