// What a storm is told, and what it counts.
import type { Tolls } from './disturbance.ts'
import type { Ledger } from './ledger.ts'
import type { Finding } from './oracle.ts'

export interface StormSettings {
  readonly seed: string
  readonly participants: number
  /** Edge controllers, with a zone each; 0: everybody belongs to the hub. */
  readonly controllers: number
  readonly rounds: number
  /** Of the hub, and as many of controllers, at random moments of each round, besides those at chosen ones. */
  readonly killsPerRound: number
  /** Modules that processes load first. */
  readonly preloads?: { readonly hub?: readonly URL[]; readonly controller?: readonly URL[] }
}

export interface StormResult {
  readonly findings: readonly { readonly round: number; readonly finding: Finding | string }[]
  readonly counts: StormCounts
}

export interface StormCounts extends Tolls {
  rounds: number
  /** Updates whose first byte left. */
  updates: number
  acknowledged: number
  /** Sent, and no acknowledgement seen. */
  unanswered: number
  /** Of these, how many count. */
  unansweredCounted: number
  refused: number
  neverSent: number
  /** Updates that count within a controller's sum. */
  throughControllers: number
  resets: number
  mutes: number
  holds: number
  delays: number
  connections: number
}

/** Of a storm before it began. */
export const NOTHING: StormCounts = {
  ...{
    rounds: 0,
    updates: 0,
    acknowledged: 0,
    unanswered: 0,
    unansweredCounted: 0,
    refused: 0,
    neverSent: 0,
  },
  ...{ throughControllers: 0, hubKills: 0, controllerKills: 0, replacements: 0 },
  ...{ resets: 0, mutes: 0, holds: 0, delays: 0, connections: 0 },
}

/** Adds what a round's ledger says once it is merged. @param counted whose update counts */
export function addRound(counts: StormCounts, { entries }: Ledger, counted: ReadonlySet<number>): void {
  counts.rounds += 1
  entries.forEach(({ sent, acknowledged, owed, refused }, participant) => {
    const wasAnswered = owed || acknowledged.size > 0
    const unanswered = sent.size > 0 && !wasAnswered
    counts.updates += sent.size
    counts.acknowledged += Number(wasAnswered)
    counts.refused += refused.size
    counts.unanswered += Number(unanswered)
    counts.unansweredCounted += Number(unanswered && counted.has(participant))
    counts.neverSent += Number(sent.size === 0)
  })
}
