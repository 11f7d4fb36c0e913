/*
 * What the participants of one round saw, written down by whoever acts for them: before a byte leaves, and once an answer has
 * come. Several may act for one participant at the same time.
 */
import type { Entry } from './oracle.ts'

interface OpenEntry extends Entry {
  readonly sent: Set<string>
  readonly acknowledged: Set<string>
  readonly refused: Set<string>
}

export class Ledger {
  readonly entries: readonly OpenEntry[]
  /** Answers that must not be, whatever the sum is. */
  readonly wrongAnswers: string[] = []

  constructor(participants: number) {
    this.entries = Array.from({ length: participants }, () => ({
      ...{ sent: new Set<string>(), acknowledged: new Set<string>(), refused: new Set<string>() },
    }))
  }

  sent(participant: number, digest: string): void {
    this.#of(participant).sent.add(digest)
  }

  acknowledged(participant: number, digest: string): void {
    this.#of(participant).acknowledged.add(digest)
  }

  refused(participant: number, digest: string): void {
    this.#of(participant).refused.add(digest)
  }

  /** The digest for which an acknowledgement was seen. */
  acknowledgedOf(participant: number): string | undefined {
    return [...this.#of(participant).acknowledged][0]
  }

  #of(participant: number): OpenEntry {
    const entry = this.entries[participant]
    if (!entry) throw new Error(`participant ${participant}: there are ${this.entries.length}`)
    return entry
  }
}
