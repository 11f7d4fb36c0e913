// One piece of work at a time for a key, where the newest wins: it asks the one before it to stop, waits until that
// one has let go, and only then begins.
export class Takeover {
  readonly #holders = new Map<string, { stop: () => void; ended: Promise<unknown> }>()

  /** @param stop makes this work end soon; called at most once, when another wants the key */
  async run<T>(key: string, stop: () => void, work: () => Promise<T>): Promise<T> {
    const before = this.#holders.get(key)
    before?.stop()
    const result = Promise.resolve(before?.ended).then(work)
    const holder = { stop, ended: result.catch(() => undefined) }
    this.#holders.set(key, holder)
    try {
      return await result
    } finally {
      if (this.#holders.get(key) === holder) this.#holders.delete(key)
    }
  }
}
