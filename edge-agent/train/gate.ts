// Holds whoever wants to pass until it is opened. It may close and open again at any time.
import { once } from 'node:events'

export class Gate {
  #isOpen = false
  #opening = Promise.withResolvers<undefined>()

  open(): void {
    this.#isOpen = true
    this.#opening.resolve(undefined)
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#opening = Promise.withResolvers<undefined>()
  }

  /** Resolves once it is open; rejects with the signal's reason. */
  async passed(signal: AbortSignal): Promise<void> {
    while (!this.#isOpen) {
      signal.throwIfAborted()
      const given = new AbortController()
      const aborted = once(signal, 'abort', { signal: given.signal }).catch(() => undefined)
      await Promise.race([this.#opening.promise, aborted])
      given.abort()
    }
    signal.throwIfAborted()
  }
}
