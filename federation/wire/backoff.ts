// Waiting times between attempts: exponential, with jitter so that many nodes that lost the same link do not return
// in step, and bounded. Randomness is given by the caller.
import { setTimeout as delay } from 'node:timers/promises'

export interface BackoffOptions {
  readonly initialMs: number
  readonly maximumMs: number
  /** Another maximum for as long as the waits since the last success add up to less than this time. */
  readonly early?: { readonly maximumMs: number; readonly forMs: number }
}

/** A peer that was away for no longer than it takes to start again is found within 5 s of its return; a longer outage is left alone. */
export const RECONNECT_BACKOFF: BackoffOptions = {
  initialMs: 500,
  maximumMs: 30_000,
  early: { maximumMs: 5_000, forMs: 120_000 },
}

export class Backoff {
  readonly #options: BackoffOptions
  readonly #random: () => number
  #failures = 0
  #waitedMs = 0

  /** @param random uniform in [0, 1) */
  constructor(random: () => number, options: BackoffOptions = RECONNECT_BACKOFF) {
    this.#random = random
    this.#options = options
  }

  /** The next waiting time: between half of and the whole of the current step, which doubles up to the maximum. */
  next(): number {
    const { initialMs, maximumMs, early } = this.#options
    const isEarly = early !== undefined && this.#waitedMs < early.forMs
    const step = Math.min(initialMs * 2 ** this.#failures, isEarly ? early.maximumMs : maximumMs)
    this.#failures = Math.min(this.#failures + 1, 30)
    const waitMs = Math.ceil(step * (0.5 + this.#random() / 2))
    this.#waitedMs += waitMs
    return waitMs
  }

  /** After a success, or after progress: the next failure waits the shortest time again. */
  reset(): void {
    this.#failures = 0
    this.#waitedMs = 0
  }

  async wait(signal: AbortSignal): Promise<number> {
    const milliseconds = this.next()
    await sleep(milliseconds, signal)
    return milliseconds
  }
}

/** Resolves after the time; rejects with the signal's reason as soon as it is aborted. */
export async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}
