// Tells subscribers what changed. Changes of the same object within a moment are told once, so that a storm of
// updates does not become a storm of messages and a slow subscriber's backlog is bounded by the number of objects.
import type { Change } from '#federation/wire/generated/tributary.ts'

const COLLECT_MS = 50

export class Changes {
  readonly #subscribers = new Set<(changes: readonly Change[]) => void>()
  readonly #pending = new Map<string, Change>()
  #timer: NodeJS.Timeout | undefined

  notify(change: Change): void {
    this.#pending.set(`${change.kind}/${change.uid}`, change)
    this.#timer ??= setTimeout(() => this.#flush(), COLLECT_MS)
  }

  /** @returns ends the subscription */
  subscribe(subscriber: (changes: readonly Change[]) => void): () => void {
    this.#subscribers.add(subscriber)
    return () => this.#subscribers.delete(subscriber)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#subscribers.clear()
  }

  #flush(): void {
    this.#timer = undefined
    const changes = [...this.#pending.values()]
    this.#pending.clear()
    for (const subscriber of this.#subscribers) subscriber(changes)
  }
}
