// A work queue of keys. Per key: in the queue at most once, in flight at most once, woken at the earliest moment
// that anybody asked for, slowed down after failures. A key that is idle leaves nothing behind.

import { backOffMs } from './back-off.ts'
import type { BackOff } from './back-off.ts'
import type { Clock } from './clock.ts'
import type { Key, Random } from './types.ts'

export interface QueueOptions {
  clock: Clock
  random: Random
  /** First back-off after a failure; doubles with each further one. 500 ms unless told. */
  backOffMinMs?: number | undefined
  /** 5 minutes unless told. */
  backOffMaxMs?: number | undefined
}

export interface WorkQueue {
  /** Keys that are ready and wait for a worker. */
  readonly depth: number
  /** Keys known at all: waiting, ready or in flight. */
  readonly size: number
  /** As soon as possible. Already there, waiting or in flight: once more at most, at the earliest asked moment. */
  add(key: Key): void
  addAfter(key: Key, delayMs: number): void
  /** The next key, in flight until `done` or `fail`; undefined once stopped. */
  take(): Promise<Key | undefined>
  /** Ends a flight that went well and forgets earlier failures. */
  done(key: Key): void
  /** Ends a flight that failed: the key comes again after its back-off. Returns that delay. */
  fail(key: Key, atLeastMs?: number): number
  /** Nothing is taken any more; what is in flight may end. */
  stop(): void
}

type Entry = { failures: number } & (
  | { phase: 'waiting'; dueAt: number; cancel: () => void }
  | { phase: 'ready' }
  | { phase: 'active'; againAt?: number }
)

export function createWorkQueue(options: QueueOptions): WorkQueue {
  return new KeyQueue(options)
}

class KeyQueue implements WorkQueue {
  readonly #clock: Clock
  readonly #random: Random
  readonly #backOff: BackOff
  readonly #entries = new Map<Key, Entry>()
  /** In the order in which they became ready. */
  readonly #ready = new Set<Key>()
  readonly #takers: ((key: Key | undefined) => void)[] = []
  #stopped = false

  constructor({ clock, random, backOffMinMs = 500, backOffMaxMs = 300_000 }: QueueOptions) {
    this.#clock = clock
    this.#random = random
    this.#backOff = { minMs: backOffMinMs, maxMs: backOffMaxMs }
  }

  get depth(): number {
    return this.#ready.size
  }

  get size(): number {
    return this.#entries.size
  }

  add(key: Key): void {
    this.addAfter(key, 0)
  }

  addAfter(key: Key, delayMs: number): void {
    if (this.#stopped) return
    const dueAt = this.#clock.monotonic() + Math.max(0, delayMs)
    const entry = this.#entries.get(key)
    if (!entry) this.#schedule(key, dueAt, 0)
    else if (entry.phase === 'active') entry.againAt = Math.min(entry.againAt ?? Infinity, dueAt)
    else if (entry.phase === 'waiting' && dueAt < entry.dueAt) {
      entry.cancel()
      this.#schedule(key, dueAt, entry.failures)
    }
  }

  take(): Promise<Key | undefined> {
    if (this.#stopped) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      this.#takers.push(resolve)
      this.#dispatch()
    })
  }

  done(key: Key): void {
    const { againAt } = this.#land(key)
    if (againAt !== undefined) this.#schedule(key, againAt, 0)
  }

  fail(key: Key, atLeastMs = 0): number {
    const { failures, againAt } = this.#land(key)
    const now = this.#clock.monotonic()
    const delayMs = Math.max(atLeastMs, backOffMs(this.#backOff, failures + 1, this.#random))
    // News that came during the flight may be what it needs, or its own doing: not at once, but soon.
    const soonest = now + Math.max(atLeastMs, this.#backOff.minMs)
    const dueAt = Math.min(now + delayMs, Math.max(againAt ?? Infinity, soonest))
    this.#schedule(key, dueAt, failures + 1)
    return dueAt - now
  }

  stop(): void {
    this.#stopped = true
    for (const [key, entry] of this.#entries) {
      if (entry.phase === 'waiting') entry.cancel()
      if (entry.phase !== 'active') this.#entries.delete(key)
    }
    this.#ready.clear()
    for (const resolve of this.#takers.splice(0)) resolve(undefined)
  }

  #land(key: Key): Entry & { phase: 'active' } {
    const entry = this.#entries.get(key)
    if (entry?.phase !== 'active') throw new Error(`queue: "${key}" is not in flight`)
    this.#entries.delete(key)
    return entry
  }

  #schedule(key: Key, dueAt: number, failures: number): void {
    if (this.#stopped) return
    const delayMs = dueAt - this.#clock.monotonic()
    if (delayMs <= 0) {
      this.#makeReady(key, failures)
      return
    }
    const cancel = this.#clock.after(delayMs, () => {
      this.#makeReady(key, failures)
    })
    this.#entries.set(key, { phase: 'waiting', dueAt, cancel, failures })
  }

  #makeReady(key: Key, failures: number): void {
    this.#entries.set(key, { phase: 'ready', failures })
    this.#ready.add(key)
    this.#dispatch()
  }

  #dispatch(): void {
    for (const key of this.#ready) {
      const resolve = this.#takers.shift()
      if (!resolve) return
      this.#ready.delete(key)
      this.#entries.set(key, { phase: 'active', failures: this.#entries.get(key)?.failures ?? 0 })
      resolve(key)
    }
  }
}
