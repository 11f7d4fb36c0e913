// Time as a received value. `now` is the wall clock and may jump; `monotonic` only goes forward. main.ts makes
// the real one, tests make one that they move by hand.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds since some fixed moment; never goes back. */
  monotonic(): number
  /** Calls back once after the delay; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void
}

const LONGEST_TIMER_MS = 2 ** 31 - 1

export function createClock(sources: { now: () => number; monotonic: () => number }): Clock {
  return {
    now: sources.now,
    monotonic: sources.monotonic,
    after(delayMs, callback) {
      const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), LONGEST_TIMER_MS))
      return () => {
        clearTimeout(timer)
      }
    },
  }
}

/** Resolves after the delay, or at once when the signal aborts: the caller looks at the signal. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve()
      return
    }
    const finish = (): void => {
      cancel()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = clock.after(delayMs, finish)
    signal?.addEventListener('abort', finish, { once: true })
  })
}
