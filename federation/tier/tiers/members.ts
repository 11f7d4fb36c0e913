// Whose updates an intermediate update holds. Pure: the list has one spelling, so that it has one digest; each member counts like
// an update that came by itself, under the key of what it came within.
import { digestOf } from '../../wire/digest.ts'
import type { IntermediateRecord, MemberRecord, UpdateRecord } from '../store/records.ts'

/** Names an intermediate update within the round whose parameters it was trained from; also its folder's name. */
export function intermediateKey(tier: string, offer: string): string {
  return `${tier}/${offer.slice('sha256:'.length)}`
}

/** Digest of a member list, whatever else was in the message that brought it. */
export function offerDigest(members: readonly MemberRecord[]): string {
  const list = members.map(({ node, digest, samples, steps, loss }) => [node, digest, samples, steps, loss])
  return digestOf(Buffer.from(JSON.stringify(list)))
}

export function membersAsUpdates(record: IntermediateRecord): UpdateRecord[] {
  const { tier, offer, countsIn, acceptedMs } = record
  const through = intermediateKey(tier, offer)
  const shared = { size: 0, acceptedMs, through, ...(countsIn !== undefined && { countsIn }) }
  return record.members.map(({ node, ...facts }) => ({ participant: node, ...facts, ...shared }))
}

export function samplesOf(members: readonly Pick<MemberRecord, 'samples'>[]): number {
  return members.reduce((sum, { samples }) => sum + samples, 0)
}
