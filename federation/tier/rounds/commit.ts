// What a set of updates is as a commit: sorted by participant, without what says nothing once they are chosen, so that the same set has
// one spelling.
import type { CommitRecord, UpdateRecord } from '../store/records.ts'

/** @param updates with the round that each was trained from, where that may be another one */
export function commitOf(
  updates: Iterable<UpdateRecord & { readonly trainedFrom?: number }>,
  closedMs: number,
): CommitRecord {
  const committed = [...updates]
    .toSorted((a, b) => (a.participant < b.participant ? -1 : 1))
    .map(({ size: _size, acceptedMs: _accepted, countsIn: _round, ...update }) => update)
  return { closedMs, updates: committed }
}
