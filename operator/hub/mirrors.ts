// Which edge controller an agent may fetch a model from in place of the hub: that of its node's zone, while a campaign improves the
// model there or its last version is on its way. It hands out the same bytes by the same digests, so that they cross the zone's
// uplink once.
import type { Parent } from '#federation/wire/generated/tributary.ts'
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import { hasControllers } from '#federation/tier/plans.ts'
import { treeOf } from '#federation/tier/tiers/tree.ts'

export class Mirrors {
  readonly #campaigns: () => readonly Campaign[]
  readonly #told = new Map<string, string>()

  constructor(campaigns: () => readonly Campaign[]) {
    this.#campaigns = campaigns
  }

  /** The nearest controller that is there. */
  of(modelUid: string, node: string): Parent | undefined {
    for (const { plan, controllers } of this.#campaigns()) {
      if (plan.modelUid !== modelUid || !hasControllers(plan)) continue
      const way = treeOf(plan).wayTo(node).toReversed()
      const found = way.map((tier) => controllers.introductionOf(tier)).find((parent) => parent !== undefined)
      if (found) return found
    }
    return undefined
  }

  /** Whether agents are to be told anew: campaigns change often, their controllers seldom. */
  haveChanged({ uid, plan, controllers }: Campaign): boolean {
    const there = hasControllers(plan)
      ? plan.tiers.map((tier) => [tier.nodes, controllers.introductionOf(tier)])
      : []
    const isGone = !this.#campaigns().some((campaign) => campaign.uid === uid)
    const text = JSON.stringify(isGone ? [] : there)
    if (text === (this.#told.get(uid) ?? '[]')) return false
    if (isGone) this.#told.delete(uid)
    else this.#told.set(uid, text)
    return true
  }
}
