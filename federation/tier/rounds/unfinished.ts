// With FedBuff, and where late updates are carried over, a pod goes on with what it trains while others open new rounds: the round
// it trains from stays its assignment until its update is accepted, it fails, or the update could not count in any round any more.
// Otherwise there is no such training: whatever is not in when a round closes is dropped.
import { saidByController } from '../tiers/reach.ts'
import { placeOf } from './acceptance.ts'
import type { Campaign } from './campaign.ts'
import type { Round } from './round.ts'

/** The round whose parameters this node trains from and whose update is still worth waiting for. */
export function unfinishedTraining(campaign: Campaign, node: string): Round | undefined {
  if (!campaign.buffering && !campaign.parent?.takesLate) return undefined
  const round = campaign.rounds.get(trainsFrom(campaign, node))
  if (!round?.isChosen(node) || round.updates.has(node) || round.failureOf(node)) return undefined
  return 'round' in placeOf(campaign, round, node) ? round : undefined
}

/** As its pod says, or its controller of it; 0 for a node of which nobody knows. */
function trainsFrom(campaign: Campaign, node: string): number {
  const own = campaign.training.get(node) ?? 0
  return campaign.connected.has(node) ? own : (saidByController(campaign, node)?.trainsFrom ?? own)
}
