// Has those who follow a campaign look again: at once when it was quiet, and then no sooner than a moment later, so that many
// changes in that moment are one and a crowd does not notify a crowd.

const COLLECT_MS = 5

export class Observers {
  readonly #observers = new Set<() => void>()
  /** Set when there is something to look at. */
  #changed = false
  #scheduled: NodeJS.Immediate | undefined
  /** Runs while it is too soon to look again. */
  #resting: NodeJS.Timeout | undefined

  /** Calls back whenever something may have changed, until the returned function is called. */
  add(observer: () => void): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  /** Observers look soon, never within this call. */
  changed(): void {
    this.#changed = true
    if (!this.#resting) this.#scheduled ??= setImmediate(() => this.notify())
  }

  /** Observers look now. */
  notify(): void {
    clearTimeout(this.#resting)
    clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    this.#changed = false
    this.#resting = setTimeout(() => {
      this.#resting = undefined
      if (this.#changed) this.notify()
    }, COLLECT_MS)
    for (const observer of [...this.#observers]) observer()
  }
}
