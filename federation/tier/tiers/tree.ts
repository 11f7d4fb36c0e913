// The tree of edge controllers as one of them, or the hub, sees it: the tiers below it, and whose nodes are below which. Pure,
// and looked up in constant time: a plan has thousands of nodes.
import type { CheckedTierNode } from './tier-nodes.ts'

export class TierTree {
  readonly #tiers = new Map<string, CheckedTierNode>()
  readonly #tierOfNode = new Map<string, CheckedTierNode>()
  readonly #members = new Map<string, Set<string>>()

  /** @param tiers those of a checked plan */
  constructor(tiers: readonly CheckedTierNode[]) {
    for (const tier of tiers) {
      this.#tiers.set(tier.name, tier)
      this.#members.set(tier.name, new Set())
    }
    for (const tier of tiers) {
      for (const node of tier.nodes) this.#tierOfNode.set(node, tier)
      for (const above of this.#pathUp(tier)) {
        for (const node of tier.nodes) this.#members.get(above.name)?.add(node)
      }
    }
  }

  tier(name: string): CheckedTierNode | undefined {
    return this.#tiers.get(name)
  }

  /** The tier whose own node this is. */
  tierOf(node: string): CheckedTierNode | undefined {
    return this.#tierOfNode.get(node)
  }

  /** The tiers on the way to this node, from the one that is directly below whoever sees this tree to the node's own. */
  wayTo(node: string): CheckedTierNode[] {
    const tier = this.#tierOfNode.get(node)
    return tier ? this.#pathUp(tier).reverse() : []
  }

  /** The tiers above one, that is seen first which is directly below whoever sees this tree. */
  above(name: string): CheckedTierNode[] {
    const tier = this.#tiers.get(name)
    return tier ? this.#pathUp(tier).slice(1).reverse() : []
  }

  /** All nodes of a tier and of those below it. */
  members(name: string): ReadonlySet<string> {
    return this.#members.get(name) ?? new Set()
  }

  /** The tiers below one, in the plan's order, as it sees them: those directly below it have no parent named. */
  below(name: string): CheckedTierNode[] {
    return [...this.#tiers.values()]
      .filter((tier) => tier.name !== name && this.#pathUp(tier).some((above) => above.name === name))
      .map((tier) => (tier.parent === name ? { ...tier, parent: '' } : tier))
  }

  /** The tier itself first, then those above it. */
  #pathUp(tier: CheckedTierNode): CheckedTierNode[] {
    const path = [tier]
    for (let above = this.#tiers.get(tier.parent); above; above = this.#tiers.get(above.parent))
      path.push(above)
    return path
  }
}

const trees = new WeakMap<object, TierTree>()

/** The tree of a plan, made once for each plan. */
export function treeOf(plan: { readonly tiers: readonly CheckedTierNode[] }): TierTree {
  const known = trees.get(plan)
  if (known) return known
  const tree = new TierTree(plan.tiers)
  trees.set(plan, tree)
  return tree
}

/**
 * The tiers of a new plan; where it names an earlier epoch of a tier than the plan before, it was made before that one: the later
 * controller stays.
 */
export function withNewestEpochs(
  before: readonly CheckedTierNode[],
  now: readonly CheckedTierNode[],
): CheckedTierNode[] {
  const known = new Map(before.map((tier) => [tier.name, tier]))
  return now.map((tier) => {
    const newer = known.get(tier.name)
    if (!newer || newer.epoch <= tier.epoch) return tier
    return { ...tier, epoch: newer.epoch, pod: newer.pod, node: newer.node }
  })
}
