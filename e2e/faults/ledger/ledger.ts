/*
 * What the participants of one round saw, written down by whoever acts for them: before a byte leaves, and once an answer has
 * come. Several may act for one participant at the same time.
 */
import { RoundState_Phase, type CampaignState } from '#federation/wire/generated/tributary.ts'
import type { Entry, Finding } from './oracle.ts'

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

  /**
   * What was acknowledged and is not known to a hub that still collects: its round would wait for it in vain.
   * @param acknowledged who saw an acknowledgement before the hub was asked
   */
  unknownTo(
    { current, participants }: CampaignState,
    round: number,
    nameOf: (participant: number) => string,
    acknowledged = this.whoSawAcknowledgements(),
  ): Finding[] {
    if (current?.round !== round || current.phase !== RoundState_Phase.COLLECTING) return []
    const known = new Set(participants.filter((one) => one.updateAccepted).map(({ node }) => node))
    return acknowledged
      .map(nameOf)
      .filter((name) => !known.has(name))
      .map((name) => ({ kind: 'lost', detail: `${name}: acknowledged, then unknown` }))
  }

  whoSawAcknowledgements(): number[] {
    return this.entries.flatMap(({ acknowledged }, participant) =>
      acknowledged.size > 0 ? [participant] : [],
    )
  }

  #of(participant: number): OpenEntry {
    const entry = this.entries[participant]
    if (!entry) throw new Error(`participant ${participant}: there are ${this.entries.length}`)
    return entry
  }
}
