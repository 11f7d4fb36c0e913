// Frees the disk of updates whose merge is durable, and of what arrived in part and can never count. With FedBuff an update
// lies with the round that it was trained from, beside others that are merged later.
import { rm } from 'node:fs/promises'
import type { Campaign } from './campaign.ts'
import { uploadPath, type Round } from './round.ts'

/** To be called once the result of the round is on the disk; called again it does no harm. */
export async function dropMergedBytes(campaign: Campaign, merged: Round): Promise<void> {
  const { buffering, rounds } = campaign
  if (!buffering) return merged.dropUpdateBytes()
  for (const { participant, digest, trainedFrom = merged.number } of merged.commit?.updates ?? []) {
    await rm(uploadPath(campaign.roundDirectory(trainedFrom), participant, digest), { force: true })
  }
  // The next round would be one merge too many for all that was trained from this one or before it.
  const outdated = [...rounds.values()].filter(
    ({ number }) => number + buffering.maxStaleness <= merged.number,
  )
  for (const round of outdated) await round.dropUpdateBytes()
}
