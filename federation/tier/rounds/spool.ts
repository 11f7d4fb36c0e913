// Frees the disk of updates whose merge is durable, and of what arrived in part and can never count. With FedBuff, and where late
// updates are carried over, an update lies with the round that it was trained from, beside others that are merged later.
import type { Campaign } from './campaign.ts'
import type { SpareFiles } from '../store/spares.ts'
import { sumsOf } from './merging.ts'
import { uploadPath, type Round } from './round.ts'

/** To be called once the result of the round is on the disk; called again it does no harm. */
export async function dropMergedBytes(campaign: Campaign, merged: Round, spares: SpareFiles): Promise<void> {
  const { buffering, rounds } = campaign
  if (!buffering) return merged.dropUpdateBytes(spares)
  for (const { participant, digest, trainedFrom = merged.number, through } of merged.commit?.updates ?? []) {
    if (through !== undefined) continue
    await spares.discard(uploadPath(campaign.roundDirectory(trainedFrom), participant, digest))
  }
  for (const { path } of sumsOf(campaign, withWhatIsKept(campaign, merged))) await spares.discard(path)
  // The next round would be one merge too many for all that was trained from this one or before it.
  const outdated = [...rounds.values()].filter(
    ({ number }) => number + buffering.maxStaleness <= merged.number,
  )
  for (const round of outdated) await round.dropUpdateBytes(spares)
}

/** A merged round may be kept for longer than one that an update in it was trained from: with that its bytes are gone already. */
function withWhatIsKept({ rounds }: Campaign, { number, commit }: Round): Pick<Round, 'number' | 'commit'> {
  const updates = commit?.updates.filter(({ trainedFrom = number }) => rounds.has(trainedFrom))
  return { number, commit: commit && { ...commit, updates: updates ?? [] } }
}
