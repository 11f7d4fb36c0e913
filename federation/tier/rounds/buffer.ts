// Which round an accepted update counts in. Unless the manifest says otherwise a round merges what was trained from its own
// parameters. With FedBuff (Nguyen et al. 2022) each round is one buffer, and an update counts in the first one from the current
// round on that has room for it, as long as it is not too stale. Late updates that are carried over do the same, in rounds that
// have room for everybody. Pure: everything follows from the records of accepted updates.
import type { StrategyConfiguration } from '#federation/aggregation/configuration.ts'
import { LateUpdates } from '#federation/wire/generated/tributary.ts'
import type { UpdateRecord } from '../store/records.ts'

/** Finished rounds that are kept at least, besides the current one. */
export const HISTORY = 10

export interface Buffering {
  /** So many updates close a round, whoever else trains; absent: everybody who was asked is awaited. */
  readonly bufferSize: number | undefined
  /** How many merges ago an update may have started. */
  readonly maxStaleness: number
}

/** Undefined when rounds merge only what was trained from their own parameters. */
export function bufferingOf(strategy: StrategyConfiguration, late: LateUpdates): Buffering | undefined {
  if (strategy.type === 'FedBuff') {
    const { bufferSize, maxStaleness } = strategy
    return { bufferSize, maxStaleness }
  }
  // As far back as rounds are kept anyway.
  return late === LateUpdates.DROP ? undefined : { bufferSize: undefined, maxStaleness: HISTORY - 1 }
}

export interface BufferedUpdate extends UpdateRecord {
  /** The round whose parameters the update started from. */
  readonly trainedFrom: number
}

/** The accepted updates by the round that they count in: an index of their records. */
export class Buffers {
  readonly #byRound = new Map<number, Map<string, BufferedUpdate>>()

  add(trainedFrom: number, update: UpdateRecord): void {
    const round = update.countsIn ?? trainedFrom
    const buffer = this.#byRound.get(round) ?? new Map<string, BufferedUpdate>()
    buffer.set(update.participant, { ...update, trainedFrom })
    this.#byRound.set(round, buffer)
  }

  /** By participant: each counts once in a round. */
  of(round: number): ReadonlyMap<string, BufferedUpdate> {
    return this.#byRound.get(round) ?? new Map<string, BufferedUpdate>()
  }

  forget(round: number): void {
    this.#byRound.delete(round)
  }
}

export interface BufferFacts extends Buffering {
  /** The newest round, and whether its set of updates is committed. */
  readonly current: number
  readonly committed: boolean
  /** The last round of the campaign, as planned now. */
  readonly lastRound: number
  /** Participants whose update counts in a round. */
  readonly counting: (round: number) => Pick<ReadonlySet<string>, 'size' | 'has'>
}

export type Placing = { readonly round: number } | { readonly refusal: string }

/** The round in which an update of this participant counts that was trained from the parameters of round `trainedFrom`. */
export function placeUpdate(facts: BufferFacts, participant: string, trainedFrom: number): Placing {
  const { bufferSize = Number.POSITIVE_INFINITY, maxStaleness, lastRound, counting } = facts
  const last = Math.min(lastRound, trainedFrom + maxStaleness)
  for (let round = facts.committed ? facts.current + 1 : facts.current; round <= last; round++) {
    const buffer = counting(round)
    if (buffer.size < bufferSize && !buffer.has(participant)) return { round }
  }
  const allowed = facts.bufferSize === undefined ? '' : 'maxStaleness '
  const limit = last === lastRound ? 'the last' : `as many as ${allowed}${maxStaleness} allows`
  return {
    refusal: `no round up to ${last}, ${limit}, takes an update of ${participant} that was trained from round ${trainedFrom}`,
  }
}
