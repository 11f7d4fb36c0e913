// Who evaluates the parameters that a round merged: everybody who was asked to train and could. With FedBuff those train on
// whose update is not merged yet; the others have begun their next training at most a moment ago, and lose only that. Where late
// updates are carried over, those train on who were too slow for this round.
import type { Campaign } from './campaign.ts'
import type { Round } from './round.ts'
import { unfinishedTraining } from './unfinished.ts'

export function evaluatorsOf(campaign: Campaign, round: Round): string[] {
  const failed = round.failedInTraining()
  return candidates(campaign, round).filter((node) => !failed.has(node) && campaign.podOf(node) !== undefined)
}

function candidates(campaign: Campaign, { number, attempt, commit }: Round): readonly string[] {
  const { buffering, plan } = campaign
  if (buffering?.bufferSize === undefined) {
    return attempt.participants.filter((node) => unfinishedTraining(campaign, node) === undefined)
  }
  const merged = commit?.updates.map(({ participant }) => participant) ?? []
  // After the last round there is no update to train for.
  const isLast = number >= (plan.round?.rounds ?? number)
  return isLast ? [...new Set([...attempt.participants, ...merged])].sort() : merged
}
