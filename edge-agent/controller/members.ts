// Whose updates are offered to the parent. Pure: the same records give the same list, sorted as they are, so that what is sent has one
// spelling.
import type { CommitRecord } from '#federation/tier/store/records.ts'
import type { Member } from '#federation/wire/generated/tributary.ts'

type Committed = CommitRecord['updates'][number]

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
