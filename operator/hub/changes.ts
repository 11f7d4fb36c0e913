// Tells subscribers what changed: at once, and then no sooner than a moment later, unless it is what they wait for. Changes of
// the same object within that moment are told once, so that a storm of updates does not become a storm of messages and a slow
// subscriber's backlog is bounded by the number of objects.
import type { Change } from '#federation/wire/generated/tributary.ts'

const COLLECT_MS = 50

export class Changes {
  readonly #subscribers = new Set<(changes: readonly Change[]) => void>()
  readonly #pending = new Map<string, Change>()
  readonly #stages = new Map<string, string>()
  /** Runs while it is too soon to tell again. */
  #timer: NodeJS.Timeout | undefined
  #scheduled: NodeJS.Immediate | undefined

  /** @param stage of the object, such as a round's phase: it changes seldom, and when it does, subscribers are told at once */
  notify(change: Change, stage = ''): void {
    const key = `${change.kind}/${change.uid}`
    this.#pending.set(key, change)
    const isTurn = stage !== (this.#stages.get(key) ?? '')
    if (isTurn) this.#stages.set(key, stage)
    // Not within the call: what follows from the change in the same turn is told with it.
    if (!this.#timer || isTurn) this.#scheduled ??= setImmediate(() => this.#flush())
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
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#scheduled = undefined
    if (this.#pending.size === 0) return
    this.#timer = setTimeout(() => this.#flush(), COLLECT_MS)
    const changes = [...this.#pending.values()]
    this.#pending.clear()
    for (const subscriber of this.#subscribers) subscriber(changes)
  }
}
