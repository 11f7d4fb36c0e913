// A work queue of keys.

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
  readonly stopped: boolean
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
