// Waiting times between attempts: exponential, with jitter so that many nodes that lost the same link do not return
// in step, and bounded. Randomness is given by the caller.
import { setTimeout as delay } from 'node:timers/promises'

export interface BackoffOptions {
  readonly initialMs: number
  readonly maximumMs: number
}

export const RECONNECT_BACKOFF: BackoffOptions = { initialMs: 500, maximumMs: 30_000 }

export class Backoff {
  readonly #options: BackoffOptions
  readonly #random: () => number
  #failures = 0

  /** @param random uniform in [0, 1) */
  constructor(random: () => number, options: BackoffOptions = RECONNECT_BACKOFF) {
    this.#random = random
    this.#options = options
  }

  /** The next waiting time: between half of and the whole of the current step, which doubles up to the maximum. */
  next(): number {
    const { initialMs, maximumMs } = this.#options
    const step = Math.min(initialMs * 2 ** this.#failures, maximumMs)
    this.#failures = Math.min(this.#failures + 1, 30)
    return Math.ceil(step * (0.5 + this.#random() / 2))
  }

  /** After a success, or after progress: the next failure waits the shortest time again. */
  reset(): void {
    this.#failures = 0
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
