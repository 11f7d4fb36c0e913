// Tells subscribers what changed: at once, and then no sooner than a moment later. Changes of the same object within that
// moment are told once, so that a storm of updates does not become a storm of messages and a slow subscriber's backlog is
// bounded by the number of objects.
import type { Change } from '#federation/wire/generated/tributary.ts'

const COLLECT_MS = 50

export class Changes {
  readonly #subscribers = new Set<(changes: readonly Change[]) => void>()
  readonly #pending = new Map<string, Change>()
  /** Runs while it is too soon to tell again. */
  #timer: NodeJS.Timeout | undefined
  #scheduled: NodeJS.Immediate | undefined

  notify(change: Change): void {
    this.#pending.set(`${change.kind}/${change.uid}`, change)
    // Not within the call: what follows from the change in the same turn is told with it.
    if (!this.#timer) this.#scheduled ??= setImmediate(() => this.#flush())
  }

  /** @returns ends the subscription */
  subscribe(subscriber: (changes: readonly Change[]) => void): () => void {
    this.#subscribers.add(subscriber)
    return () => this.#subscribers.delete(subscriber)
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#scheduled)
    this.#subscribers.clear()
  }

  #flush(): void {
    this.#timer = undefined
    this.#scheduled = undefined
    if (this.#pending.size === 0) return
    this.#timer = setTimeout(() => this.#flush(), COLLECT_MS)
    const changes = [...this.#pending.values()]
    this.#pending.clear()
    for (const subscriber of this.#subscribers) subscriber(changes)
  }
}
