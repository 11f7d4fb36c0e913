// What the operator is told of the edge controllers of a campaign: one bounded line a tier.
import type { TierState } from '../../wire/generated/tributary.ts'
import type { Campaign } from '../rounds/campaign.ts'
import type { CheckedTierNode } from './tier-nodes.ts'
import { treeOf } from './tree.ts'

export function tierStates(campaign: Campaign): TierState[] {
  return campaign.plan.tiers.map((tier) => tierState(campaign, tier))
}

function tierState({ plan, controllers, current }: Campaign, { name, epoch }: CheckedTierNode): TierState {
  const report = controllers.reportOf(name)
  const members = treeOf(plan).members(name)
  const round = current?.number ?? 0
  const states = report?.round === round ? [...report.participants.values()] : []
  const received = states.filter(({ updateAccepted }) => updateAccepted)
  return {
    name,
    epoch,
    connected: controllers.isConnected(name),
    lastSeenUnixMs: controllers.lastSeenMs(name),
    round,
    received: received.length,
    wanted: current?.attempt.participants.filter((node) => members.has(node)).length ?? 0,
    delivered: [...(current?.intermediates.values() ?? [])].some(({ tier }) => tier === name),
    problemReason: report?.problemReason ?? '',
    problemMessage: report?.problemMessage ?? '',
  }
}
