// What makes the members of an intermediate update count: all of them at once, by one record, or none. Whoever sends it was
// asked before whose updates are wanted (`answerOffer`); what has changed since then is seen here again, under the campaign's lock.
import { join } from 'node:path'
import { TierError } from '../serving/errors.ts'
import { listDirectory, readRecord, writeRecord } from '../store/files.ts'
import { OfferRecord, type IntermediateRecord, type MemberRecord } from '../store/records.ts'
import { intermediateKey, offerDigest } from '../tiers/members.ts'
import { treeOf } from '../tiers/tree.ts'
import { placeOf } from './acceptance.ts'
import type { Campaign } from './campaign.ts'
import type { Round } from './round.ts'

/**
 * Offers of one tier to one round whose bytes have not come: it makes another one only when an update came another way meanwhile. Those
 * that count are bounded by the nodes, as each has one at least.
 */
const MOST_OPEN_OFFERS = 256

interface Offer {
  readonly tier: string
  /** Sorted by node. */
  readonly members: readonly MemberRecord[]
}

export interface Answer {
  /** Members to be left out: they count already, or do not belong to the tier any more. */
  readonly counted: string[]
  readonly offer: string
}

/** Says which members are not wanted; when all are, the offer is on the disk and its bytes may come. */
export async function answerOffer(
  campaign: Campaign,
  round: Round,
  { tier, members }: OfferRecord,
): Promise<Answer> {
  const offer = offerDigest(members)
  const key = intermediateKey(tier, offer)
  return campaign.locked(async () => {
    if (round.intermediates.has(key)) return { counted: [], offer }
    refuseClosed(campaign, round, members)
    const counted = unwanted(campaign, round, { tier, members })
    if (counted.length === 0) await saveOffer(round, key, { tier, members })
    return { counted, offer }
  })
}

async function saveOffer(round: Round, key: string, record: OfferRecord): Promise<void> {
  const names = await listDirectory(join(round.offerDirectory(key), '..'))
  const open = names
    .map((name) => `${record.tier}/${name}`)
    .filter((known) => !round.intermediates.has(known))
  if (open.length >= MOST_OPEN_OFFERS && !open.includes(key)) {
    const detail = `the bytes of ${open.length} offers of tier ${record.tier} to round ${round.number} have not come`
    throw new TierError('tooLarge', 'TooManyOffers', detail)
  }
  await writeRecord(join(round.offerDirectory(key), 'offer.json'), record)
}

/** The members behind a digest that was answered. */
export async function offeredMembers(round: Round, tier: string, offer: string): Promise<MemberRecord[]> {
  const path = join(round.offerDirectory(intermediateKey(tier, offer)), 'offer.json')
  const record = await readRecord(path, OfferRecord)
  if (record) return record.members
  const detail = `tier ${tier} has made no offer ${offer} to round ${round.number}, or some of its members count already`
  throw new TierError('missing', 'OfferUnknown', detail)
}

/** Makes all members count, if all still can. The record on the disk is the acknowledgement. */
export async function acceptIntermediate(
  campaign: Campaign,
  round: Round,
  update: Omit<IntermediateRecord, 'countsIn'>,
): Promise<void> {
  await campaign.locked(async () => {
    const { tier, epoch, members } = update
    const controller = treeOf(campaign.plan).tier(tier)
    if (controller?.epoch !== epoch) throw fenced(tier, epoch)
    const countsIn = refuseClosed(campaign, round, members)
    const counted = unwanted(campaign, round, update)
    if (counted.length > 0) throw membersCounted(counted)
    const record = { ...update, countsIn }
    await round.addIntermediate(record)
    for (const { node } of members) {
      const member = round.updates.get(node)
      if (member) campaign.buffers.add(round.number, member)
    }
  })
  campaign.changed()
}

/** Members that must be left out, sorted. */
export function unwanted(campaign: Campaign, round: Round, { tier, members }: Offer): string[] {
  const belongs = treeOf(campaign.plan).members(tier)
  const counting = campaign.buffers.of(round.number)
  return members
    .map(({ node }) => node)
    .filter((node) => {
      if (!belongs.has(node) || campaign.podOf(node) === undefined) return true
      return round.updates.has(node) || counting.has(node)
    })
}

/** The round in which the members would count. */
export function refuseClosed(campaign: Campaign, round: Round, members: readonly MemberRecord[]): number {
  const placing = placeOf(campaign, round, ...members.map(({ node }) => node))
  if ('refusal' in placing) throw new TierError('gone', 'RoundClosed', placing.refusal)
  return placing.round
}

export function fenced(tier: string, epoch: number | string): TierError {
  const detail = `another controller has taken over ${tier} from ${epoch}: it speaks for the tier no more`
  return new TierError('forbidden', 'EpochFenced', detail)
}

export function membersCounted(counted: readonly string[]): TierError {
  const shown = counted.slice(0, 10).join(', ')
  const more = counted.length > 10 ? ` and ${counted.length - 10} more` : ''
  return new TierError(
    'conflict',
    'MembersCounted',
    `${shown}${more} count already: offer again without them`,
  )
}
