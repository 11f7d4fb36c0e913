// What is known of nodes that talk to an edge controller and not to this tier: what their controller says of them.
import type { ParticipantState } from '../../wire/generated/tributary.ts'
import type { CheckedCampaignPlan } from '../plans.ts'
import type { Controllers } from './controllers.ts'
import { treeOf } from './tree.ts'

/** What of a campaign says where its nodes are. */
interface Whereabouts {
  readonly plan: CheckedCampaignPlan
  readonly controllers: Controllers
  /** Nodes whose pods talk to this tier itself. */
  readonly connected: ReadonlyMap<string, unknown>
}

/** Undefined for a node that is not below a controller, or of which it said nothing yet. */
export function saidByController(
  { plan, controllers }: Whereabouts,
  node: string,
): ParticipantState | undefined {
  const [tier] = treeOf(plan).wayTo(node)
  return tier && controllers.reportOf(tier.name)?.participants.get(node)
}

/** Whether there is a way to this node, be it through its controller. */
export function isConnected(campaign: Whereabouts, node: string): boolean {
  if (campaign.connected.has(node)) return true
  const [tier] = treeOf(campaign.plan).wayTo(node)
  if (!tier || !campaign.controllers.isConnected(tier.name)) return false
  return saidByController(campaign, node)?.connected ?? false
}
