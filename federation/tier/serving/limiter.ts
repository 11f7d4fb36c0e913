// At most so many pieces of work at once; others wait their turn, a bounded number of them for a bounded time.

export interface Limits {
  readonly running: number
  readonly waiting: number
  readonly waitMs: number
}

export class Limiter {
  readonly #limits: Limits
  readonly #waiting = new Set<() => void>()
  #running = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Rejects when too many wait already or the turn does not come in time; the work is not begun then. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limits.running) this.#running += 1
    else await this.#turn()
    try {
      return await work()
    } finally {
      this.#passOn()
    }
  }

  async #turn(): Promise<void> {
    if (this.#waiting.size >= this.#limits.waiting) throw new Error('too many wait already')
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(start)
        reject(new Error('the turn did not come in time'))
      }, this.#limits.waitMs)
      const start = (): void => {
        clearTimeout(timer)
        resolve()
      }
      this.#waiting.add(start)
    })
  }

  /** Hands the place to whoever waits longest. */
  #passOn(): void {
    const [next] = this.#waiting
    if (next) {
      this.#waiting.delete(next)
      next()
    } else this.#running -= 1
  }
}
