// A clock that tests move by hand. Both clocks move together unless told otherwise.

import type { Clock } from '../clock.ts'

interface Timer {
  dueAt: number
  callback: () => void
}

export class ManualClock implements Clock {
  #wall: number
  #monotonic = 0
  readonly #timers = new Set<Timer>()

  constructor(startMs = Date.parse('2026-01-01T00:00:00Z')) {
    this.#wall = startMs
  }

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#monotonic
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueAt: this.#monotonic + Math.max(0, delayMs), callback }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Moves on, calling what falls due in order, and lets what was woken run before going further. */
  async advance(ms: number): Promise<void> {
    const target = this.#monotonic + ms
    await settle()
    for (let next = this.#next(target); next; next = this.#next(target)) {
      this.#timers.delete(next)
      this.#moveTo(Math.max(this.#monotonic, next.dueAt))
      next.callback()
      await settle()
    }
    this.#moveTo(target)
    await settle()
  }

  /** Time passes without a timer being served, as in a process that was suspended. */
  suspend(ms: number): void {
    this.#moveTo(this.#monotonic + ms)
  }

  /** Somebody sets the wall clock. */
  setWall(ms: number): void {
    this.#wall = ms
  }

  #moveTo(monotonic: number): void {
    this.#wall += monotonic - this.#monotonic
    this.#monotonic = monotonic
  }

  #next(target: number): Timer | undefined {
    let earliest: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueAt <= target && (!earliest || timer.dueAt < earliest.dueAt)) earliest = timer
    }
    return earliest
  }
}

/** Lets promises that can go on without input or output do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
