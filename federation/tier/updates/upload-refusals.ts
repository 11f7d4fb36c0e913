// What can be refused of an update before a byte of its body is read, and why: who sends it, for which round, trained from
// what, how long, and with which numbers.
import type { Strategy } from '#federation/aggregation/strategy.ts'
import { UPLOAD_HEADERS } from '#federation/wire/names.ts'
import { TierError } from '../serving/errors.ts'
import type { Campaign } from '../rounds/campaign.ts'
import type { Round } from '../rounds/round.ts'
import type { UpdateRecord } from '../store/records.ts'
import type { Announcement } from './upload-headers.ts'

export interface Target {
  readonly campaign: Campaign
  readonly round: Round
  readonly participant: string
}

type UpdateFacts = Pick<UpdateRecord, 'samples' | 'steps' | 'loss' | 'initialLoss'>

/** True for the very bytes that count already; other bytes for the same key are refused for good. */
export function alreadyAccepted({ round, participant }: Target, digest: string): boolean {
  const accepted = round.updates.get(participant)
  if (!accepted) return false
  if (accepted.digest === digest) return true
  throw new TierError(
    'conflict',
    'OtherBytesAccepted',
    `the update of ${participant} in round ${round.number} was accepted with ${accepted.digest}; ${digest} is refused`,
  )
}

/** Everything that can be refused before a byte of the body is read. */
export function refuseUnfit({ campaign, round, participant }: Target, announcement: Announcement): void {
  const placing = campaign.place(round, participant)
  if ('refusal' in placing) throw closed(placing.refusal)
  if (!round.isChosen(participant)) {
    throw new TierError(
      'forbidden',
      'NotThisParticipant',
      `${participant} was not chosen for round ${round.number}`,
    )
  }
  const { base } = round.attempt
  if (announcement.parameters !== base.digest) {
    throw refused(
      `training started from parameters ${announcement.parameters}; the round starts from ${base.digest}`,
    )
  }
  refuseUnasked(campaign.strategy, announcement)
  const problem =
    campaign.codec.sizeProblem(announcement.length) ??
    campaign.strategy.problemWith({
      participant,
      staleness: placing.round - round.number,
      ...factsOf(announcement),
    })
  if (problem !== undefined) throw refused(problem)
}

/** What the strategy does not need must not leave the node. */
function refuseUnasked({ type, needsInitialLoss }: Strategy, { initialLoss }: Announcement): void {
  if (initialLoss === undefined || needsInitialLoss) return
  throw refused(`header ${UPLOAD_HEADERS.initialLoss} is not for ${type}`)
}

/** What is recorded of an update beside its bytes. */
export function factsOf({ samples, steps, loss, initialLoss }: Announcement): UpdateFacts {
  return { samples, steps, loss, ...(initialLoss !== undefined && { initialLoss }) }
}

export function closed(detail: string): TierError {
  return new TierError('gone', 'RoundClosed', detail)
}

export function refused(detail: string): TierError {
  return new TierError('refused', 'UpdateRefused', detail)
}
