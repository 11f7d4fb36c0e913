// What an upload is for: a node's update, or the intermediate update that a tier has offered. Who may send it follows from the
// identity of the caller, and from nothing that it says.
import type { IncomingHttpHeaders } from 'node:http'
import { TierError } from '../serving/errors.ts'
import type { UpdateKey } from '../serving/http.ts'
import { requireController, requireParticipant, type ReviewedIdentity } from '../serving/identity.ts'
import type { Campaign } from '../rounds/campaign.ts'
import { offeredMembers } from '../rounds/intermediate.ts'
import type { Round } from '../rounds/round.ts'
import type { MemberRecord } from '../store/records.ts'
import { intermediateKey } from '../tiers/members.ts'
import { announcedMembers } from './upload-headers.ts'

/** Whose updates an intermediate update holds, and of which controller. */
export interface Offered {
  readonly tier: string
  readonly epoch: number
  /** Digest of the member list. */
  readonly offer: string
  readonly members: readonly MemberRecord[]
}

export interface Target {
  readonly campaign: Campaign
  readonly round: Round
  /** Name of the node, or of the tier. */
  readonly participant: string
  /** Where its bytes are spooled. */
  readonly directory: string
  /** Set for an intermediate update. */
  readonly offered?: Offered
}

export async function targetOf(
  campaign: Campaign | undefined,
  identity: ReviewedIdentity,
  { key, headers }: { key: UpdateKey; headers: IncomingHttpHeaders },
): Promise<Target> {
  if (!campaign) throw new TierError('missing', 'UnknownRound', `there is no campaign ${key.campaign}`)
  const { participant } = key
  const offer = announcedMembers(headers)
  if (offer === undefined) {
    const node = requireParticipant(identity, campaign)
    if (node !== participant) {
      const detail = `a pod on ${node} cannot send the update of ${participant}`
      throw new TierError('forbidden', 'NotThisParticipant', detail)
    }
    const round = roundOf(campaign, key.round)
    return { campaign, round, participant, directory: round.uploadDirectory(participant) }
  }
  const { epoch } = requireController(identity, campaign, participant)
  const round = roundOf(campaign, key.round)
  const members = await offeredMembers(round, participant, offer)
  const directory = round.offerDirectory(intermediateKey(participant, offer))
  return { campaign, round, participant, directory, offered: { tier: participant, epoch, offer, members } }
}

function roundOf(campaign: Campaign, number: number): Round {
  const round = campaign.rounds.get(number)
  if (round) return round
  const newest = campaign.current?.number ?? 0
  if (number < newest) throw new TierError('gone', 'RoundClosed', `round ${number} no longer takes updates`)
  const detail = `round ${number} has not been opened; the newest is ${newest}`
  throw new TierError('missing', 'UnknownRound', detail)
}

/** What counts under the target's key already. */
export function acceptedOf({
  round,
  participant,
  offered,
}: Target): { readonly digest: string; readonly size: number } | undefined {
  if (!offered) return round.updates.get(participant)
  return round.intermediates.get(intermediateKey(offered.tier, offered.offer))
}
