// A disk that is full, as a campaign sees it: how much must stay free, and since when updates are refused. It ends by itself: the
// runner looks again and again, and clients send again and again.
import { toTierError } from '../serving/errors.ts'
import { transferOf } from '../plans.ts'
import { freeBytes, RECORDS_RESERVE_BYTES, Room, sayBytes } from '../store/room.ts'
import type { Campaign } from './campaign.ts'

type Shortage = NonNullable<Campaign['shortage']>

/**
 * What updates may not take: room for records, and for what the next merge writes. An edge controller writes a sum, and fetches
 * the merged parameters before that may go.
 */
export function reserveOf({ current, strategy, plan, parent }: Campaign): number {
  const delta = transferOf(plan.training).download.type === 'Full' ? 0 : 1
  const merged = parent ? 2 : 1 + strategy.serverState.length
  return RECORDS_RESERVE_BYTES + (merged + delta) * (current?.attempt.base.size ?? 0)
}

/** What stands in the way of the campaign at this moment. */
export function hindrance({
  trouble,
  shortage,
}: Campaign): { readonly reason: string; readonly message: string } | undefined {
  return trouble ?? (shortage && { reason: 'DiskFull', message: shortage.message })
}

/** Runs work that writes so many bytes of an update. Without room it rejects, and the campaign says so until there is some. */
export async function withRoom<T>(
  room: Room,
  campaign: Campaign,
  bytes: number,
  work: () => Promise<T>,
): Promise<T> {
  const left = reserveOf(campaign)
  try {
    return await room.with({ directory: campaign.directory, bytes, left }, work)
  } catch (error) {
    const { kind, message } = toTierError(error)
    if (kind === 'diskFull') noteShortage(campaign, { needed: bytes + left, message })
    throw error
  }
}

/** Says, until there is room, that bytes which those below need could not be written. */
export function noteUnfetched(campaign: Campaign, missing: number): void {
  const message = `the disk has no room for ${sayBytes(missing)} of parameters, graphs or models that are asked for`
  noteShortage(campaign, { needed: missing, message })
}

function noteShortage(campaign: Campaign, shortage: Shortage): void {
  if (campaign.shortage && campaign.shortage.needed >= shortage.needed) return
  campaign.shortage = shortage
  campaign.changed()
}

/** Whether updates are still refused; looks at the disk. */
export async function isShort(campaign: Campaign): Promise<boolean> {
  if (!campaign.shortage) return false
  if ((await freeBytes(campaign.directory)) < campaign.shortage.needed) return true
  campaign.shortage = undefined
  campaign.changed()
  return false
}

/** What a person needs to know of a disk on which not even the reserve is left. */
export async function fullDisk(campaign: Campaign): Promise<string> {
  const free = sayBytes(await freeBytes(campaign.directory))
  return `the disk has ${free} free; records and merging take ${sayBytes(reserveOf(campaign))}`
}
