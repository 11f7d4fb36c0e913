/*
 * What the participants of one round saw, written down by whoever acts for them: before a byte leaves, and once an answer has
 * come. Several may act for one participant at the same time.
 *
 * What an answer is worth depends on who gave it. The hub's word is the campaign's. An edge controller's acknowledgement may go
 * down with its disk; then the node, which keeps its update, brings the same bytes again. So it binds for a node that ever sent one
 * update only. Of a node that sent several, against the rules, two tiers that do not know of each other may acknowledge different
 * ones: one of them has to count, and the hub says which.
 */
import { RoundState_Phase, type CampaignState } from '#federation/wire/generated/tributary.ts'
import type { UploadOutcome } from '#federation/wire/upload.ts'
import type { Entry, Finding } from './oracle.ts'
import { HUB } from './tree.ts'

interface Account {
  readonly sent: Set<string>
  /** By whom each was acknowledged. */
  readonly acknowledged: Map<string, Set<string>>
  /** By the hub, for good. */
  readonly refused: Set<string>
  /** What edge controllers said that may only be said when the update counts by another way. */
  readonly doubts: string[]
  gaveUp: boolean
}

export interface Answer {
  readonly outcome: UploadOutcome
  /** Which tier it came from. */
  readonly by: string
}

export class Ledger {
  readonly #accounts: readonly Account[]
  readonly #wrongAnswers: string[] = []
  #firstBy: string | undefined

  constructor(participants: number) {
    this.#accounts = Array.from({ length: participants }, () => ({
      ...{
        sent: new Set<string>(),
        acknowledged: new Map<string, Set<string>>(),
        refused: new Set<string>(),
      },
      ...{ doubts: [], gaveUp: false },
    }))
  }

  /** What the oracle has to know, by participant. */
  get entries(): readonly Entry[] {
    return this.#accounts.map(entryOf)
  }

  /** Who gave the first acknowledgement; undefined before it. */
  get firstAcknowledgedBy(): string | undefined {
    return this.#firstBy
  }

  get acknowledgedByHub(): boolean {
    return this.whoSawAcknowledgements().length > 0
  }

  sent(participant: number, digest: string): void {
    this.#of(participant).sent.add(digest)
  }

  /** The participant has said that it cannot train. */
  gaveUp(participant: number): void {
    this.#of(participant).gaveUp = true
  }

  answered(participant: number, digest: string, { outcome, by }: Answer): void {
    const account = this.#of(participant)
    const said = (text: string): string => `participant ${participant}, by ${by}: ${text}`
    switch (outcome.kind) {
      case 'accepted':
        this.#firstBy ??= by
        account.acknowledged.set(digest, (account.acknowledged.get(digest) ?? new Set()).add(by))
        break
      case 'late':
        if (by === HUB) account.refused.add(digest)
        else account.doubts.push(said(outcome.detail))
        break
      case 'refused': {
        if (by === HUB) account.refused.add(digest)
        const text = said(`${outcome.reason}: ${outcome.detail}`)
        // Both digests are named, so that whoever reads it knows what counts instead.
        if (outcome.reason === 'OtherBytesAccepted' && namesBoth(outcome.detail, digest)) break
        if (by === HUB || !BELOW.has(outcome.reason)) this.#wrongAnswers.push(text)
        else account.doubts.push(text)
      }
    }
  }

  /**
   * Answers that must not be, whatever the sum is.
   * @param counted whose update counts
   */
  wrongAnswers(counted: ReadonlySet<number>): string[] {
    const doubts = this.#accounts.flatMap(({ sent, doubts: own }, participant) =>
      sent.size === 1 && !counted.has(participant) ? own : [],
    )
    return [...this.#wrongAnswers, ...doubts]
  }

  /**
   * What the hub acknowledged and does not know of while it still collects: its round would wait for it in vain.
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

  /** Nodes to which the hub acknowledged two different updates: what comes of such a round need not be awaited. */
  contradictions(): Finding[] {
    return this.#accounts.flatMap(({ acknowledged }, participant) => {
      const byHub = [...acknowledged].filter(([, by]) => by.has(HUB)).map(([digest]) => digest)
      const detail = `participant ${participant}: ${byHub.join(' and ')} were both acknowledged`
      return byHub.length > 1 ? [{ kind: 'otherBytes' as const, detail }] : []
    })
  }

  /** From the hub itself. */
  whoSawAcknowledgements(): number[] {
    return this.#accounts.flatMap(({ acknowledged }, participant) =>
      [...acknowledged.values()].some((by) => by.has(HUB)) ? [participant] : [],
    )
  }

  #of(participant: number): Account {
    const account = this.#accounts[participant]
    if (!account) throw new Error(`participant ${participant}: there are ${this.#accounts.length}`)
    return account
  }
}

/** What a controller may answer to a node whose update counts elsewhere already, or of whose round it was not told. */
const BELOW = new Set(['NotThisParticipant', 'UnknownRound'])

function entryOf({ sent, acknowledged, refused, gaveUp }: Account): Entry {
  const isHonest = sent.size === 1 && !gaveUp
  const binding = [...acknowledged].filter(([, by]) => isHonest || by.has(HUB))
  return {
    ...{ sent, refused, acknowledged: new Set(binding.map(([digest]) => digest)) },
    owed: acknowledged.size > 0 && !gaveUp,
  }
}

function namesBoth(detail: string, digest: string): boolean {
  const named = new Set(detail.match(/sha256:[0-9a-f]{64}/g))
  return named.has(digest) && named.size === 2
}
