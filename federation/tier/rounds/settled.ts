// Up to which round everything is said about updates: whoever keeps one that was trained from there need not any longer. At the hub
// that is so once a round is merged, and with it what may still count in later merges; an edge controller says what its parent says.
import type { Campaign } from './campaign.ts'

export function settledRoundOf(campaign: Campaign): number {
  if (campaign.parent) return campaign.parent.settledRound
  const merged = [...campaign.rounds.values()].filter(({ result }) => result).map(({ number }) => number)
  const stale = campaign.buffering?.maxStaleness ?? 0
  return Math.max(0, Math.max(0, ...merged) - stale)
}
