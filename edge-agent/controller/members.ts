// Whose updates a round holds: as they are committed, and as they are offered to the parent. Pure but for nothing: the same records
// give the same lists, sorted, so that what is sent has one spelling.
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import type { Round } from '#federation/tier/rounds/round.ts'
import type { CommitRecord, UpdateRecord } from '#federation/tier/store/records.ts'
import type { Member } from '#federation/wire/generated/tributary.ts'

type Committed = CommitRecord['updates'][number]

export function commitOf(
  { buffers }: Pick<Campaign, 'buffers'>,
  { number }: Round,
  closedMs: number,
): CommitRecord {
  return commitOfUpdates([...buffers.of(number).values()], closedMs)
}

export function commitOfUpdates(updates: readonly UpdateRecord[], closedMs: number): CommitRecord {
  const committed = updates
    .toSorted((a, b) => (a.participant < b.participant ? -1 : 1))
    .map(({ size: _size, acceptedMs: _accepted, countsIn: _round, ...update }) => update)
  return { closedMs, updates: committed }
}

/**
 * The members that are left when some count already. What came as the sum of a tier below cannot be taken apart: when one of its
 * members counts, all of them are left out.
 */
export function membersWithout(updates: readonly Committed[], counted: ReadonlySet<string>): Member[] {
  const spoilt = new Set(
    updates.filter(({ participant }) => counted.has(participant)).map(({ through }) => through),
  )
  spoilt.delete(undefined)
  return updates
    .filter(({ participant, through }) => !counted.has(participant) && !spoilt.has(through))
    .map(({ participant: node, digest, samples, steps, loss }) => ({ node, digest, samples, steps, loss }))
}
