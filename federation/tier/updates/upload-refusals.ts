// What can be refused of an update before a byte of its body is read, and why: who sends it, for which round, trained from
// what, how long, and with which numbers.
import type { Strategy } from '#federation/aggregation/strategy.ts'
import { UPLOAD_HEADERS } from '#federation/wire/names.ts'
import { TierError } from '../serving/errors.ts'
import { noteConflict, placeOf } from '../rounds/acceptance.ts'
import { membersCounted, refuseClosed, unwanted } from '../rounds/intermediate.ts'
import type { Round } from '../rounds/round.ts'
import type { UpdateRecord } from '../store/records.ts'
import type { Announcement, Transfer } from './upload-headers.ts'
import { acceptedOf, type Offered, type Target } from './upload-target.ts'

type UpdateFacts = Pick<UpdateRecord, 'samples' | 'steps' | 'loss' | 'initialLoss'>

/** True for the very bytes that count already, however they came; other bytes for the same key are refused for good, and told. */
export async function alreadyAccepted(target: Target, digest: string, nowMs: number): Promise<boolean> {
  const { campaign, round, participant } = target
  const accepted = acceptedOf(target)
  if (!accepted) return false
  if (accepted.digest === digest) return true
  const conflict = { participant, accepted: accepted.digest, refused: digest, refusedMs: nowMs }
  await noteConflict(campaign, round, conflict)
  throw new TierError(
    'conflict',
    'OtherBytesAccepted',
    `the update of ${participant} in round ${round.number} was accepted with ${accepted.digest}; ${digest} is refused`,
  )
}

/** Everything that can be refused before a byte of the body is read. */
export function refuseUnfit({ campaign, round, participant }: Target, announcement: Announcement): void {
  const placing = placeOf(campaign, round, participant)
  if ('refusal' in placing) throw closed(placing.refusal)
  if (!round.isChosen(participant)) {
    throw new TierError(
      'forbidden',
      'NotThisParticipant',
      `${participant} was not chosen for round ${round.number}`,
    )
  }
  refuseOtherBase(round, announcement)
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

/** The same of an intermediate update; its members were looked at when they were offered, and may have come another way since. */
export function refuseUnfitSum(
  { campaign, round }: Target,
  { tier, members }: Offered,
  transfer: Transfer,
): void {
  refuseClosed(campaign, round, members)
  const counted = unwanted(campaign, round, { tier, members })
  if (counted.length > 0) throw membersCounted(counted)
  refuseOtherBase(round, transfer)
  const { sumBytes } = campaign.codec
  if (transfer.length === sumBytes) return
  throw refused(`the intermediate update has ${transfer.length} bytes; a sum of updates has ${sumBytes}`)
}

function refuseOtherBase({ attempt: { base } }: Round, { parameters }: Transfer): void {
  if (parameters === base.digest) return
  throw refused(`training started from parameters ${parameters}; the round starts from ${base.digest}`)
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
