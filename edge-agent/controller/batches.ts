// What of a round goes to the parent as one sum: the updates that it was committed with, and, where the parent takes late ones, those
// that came afterwards, as often as some have. Which updates are together is on the disk before they are offered:
//   outgoing/                    the way of what was committed
//   late/<n>/commit.json         updates that came later, and in late/<n>/outgoing the way of these
import { join } from 'node:path'

import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import { commitOf } from '#federation/tier/rounds/commit.ts'
import type { CommittedRound } from '#federation/tier/rounds/merging.ts'
import type { Round } from '#federation/tier/rounds/round.ts'
import { listDirectory, readRecord, writeRecord } from '#federation/tier/store/files.ts'
import { CommitRecord } from '#federation/tier/store/records.ts'

import { Outgoing } from './outgoing.ts'

export interface Batch extends CommittedRound {
  readonly commit: CommitRecord
  readonly outgoing: Outgoing
}

/** In the order in which they were made; the last one may be made by this call. Empty while the round collects. */
export async function batchesOf(campaign: Campaign, round: Round, nowMs: number): Promise<Batch[]> {
  if (!round.commit && round === campaign.current) return []
  const late = await lateCommits(round)
  const known = [...(round.commit ? [round.commit] : []), ...late].flatMap(({ updates }) => updates)
  const names = new Set(known.map(({ participant }) => participant))
  const others = [...round.updates.values()].filter(({ participant }) => !names.has(participant))
  if (others.length > 0) {
    const commit = commitOf(others, nowMs)
    await writeRecord(join(folderOf(round, late.length + 1), 'commit.json'), commit)
    late.push(commit)
  }
  const later = late.map((commit, index) => batchOf(round, commit, folderOf(round, index + 1)))
  return [...(round.commit ? [batchOf(round, round.commit, round.directory)] : []), ...later]
}

function batchOf({ number, attempt }: Round, commit: CommitRecord, folder: string): Batch {
  return { number, attempt, commit, outgoing: new Outgoing(join(folder, 'outgoing')) }
}

async function lateCommits(round: Round): Promise<CommitRecord[]> {
  const commits: CommitRecord[] = []
  const { length } = await listDirectory(join(round.directory, 'late'))
  for (let batch = 1; batch <= length; batch++) {
    const commit = await readRecord(join(folderOf(round, batch), 'commit.json'), CommitRecord)
    if (commit) commits.push(commit)
  }
  return commits
}

function folderOf({ directory }: Round, batch: number): string {
  return join(directory, 'late', String(batch))
}
