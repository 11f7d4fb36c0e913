// The edge controllers in a plan, checked where the plan enters: they form a tree, no node belongs to two of them, each can
// reach its quorum before the tier above it ends, and the strategy can merge what they send.
import { z } from 'zod'
import type { StrategyConfiguration } from '../../aggregation/configuration.ts'
import { strategyOf } from '../../aggregation/strategies.ts'
import { name, seconds } from '../plan-fields.ts'

export const MOST_TIERS = 1000

/** A zone is named by the value of a label of its nodes; the name becomes that of a folder, too. */
const tierName = z
  .string()
  .max(63)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/, 'is not the value of a label')

export const TierNode = z.object({
  name: tierName,
  parent: z.union([z.literal(''), tierName]),
  node: name,
  pod: name,
  epoch: z.int().min(1),
  nodes: z.array(name).max(20_000),
  minimumUpdates: z.int().min(1),
  deadlineSeconds: seconds,
  replacedWhenLost: z.boolean(),
})
export type CheckedTierNode = z.infer<typeof TierNode>

export interface TierProblem {
  /** Place in the list of tiers, and the field there. */
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** What else the tiers must fit: of the same plan. */
export interface Surroundings {
  readonly strategy: StrategyConfiguration
  /** Of the round, when one is planned. */
  readonly deadlineSeconds: number | undefined
}

export function tierProblems(tiers: readonly CheckedTierNode[], surroundings: Surroundings): TierProblem[] {
  const strategy = strategyOf(surroundings.strategy)
  if (tiers.length > 0 && !strategy.allowsTiers) {
    return [{ path: [], message: `${strategy.type} merges each update by itself: it allows no tiers` }]
  }
  const shape = [...repeated(tiers), ...parentProblems(tiers)]
  // Without a tree there is nothing below a tier to count.
  if (shape.length > 0) return shape
  return tiers.flatMap((tier, index) => limitProblems(tiers, tier, surroundings).map(at(index)))
}

function at(index: number): (problem: TierProblem) => TierProblem {
  return ({ path, message }) => ({ path: [index, ...path], message })
}

function repeated(tiers: readonly CheckedTierNode[]): TierProblem[] {
  const [names, pods, nodes] = [new Set<string>(), new Set<string>(), new Map<string, string>()]
  return tiers.flatMap((tier, index) => {
    const problems: TierProblem[] = []
    if (names.has(tier.name)) problems.push({ path: ['name'], message: `${tier.name} is there twice` })
    if (pods.has(tier.pod)) problems.push({ path: ['pod'], message: `${tier.pod} speaks for two tiers` })
    names.add(tier.name)
    pods.add(tier.pod)
    for (const node of tier.nodes) {
      const other = nodes.get(node)
      if (other !== undefined) {
        problems.push({ path: ['nodes'], message: `${node} is in ${other}, too; a node belongs to one tier` })
      }
      nodes.set(node, tier.name)
    }
    return problems.map(at(index))
  })
}

function parentProblems(tiers: readonly CheckedTierNode[]): TierProblem[] {
  const parents = new Map(tiers.map(({ name, parent }) => [name, parent]))
  return tiers.flatMap(({ name, parent }, index) => {
    if (parent !== '' && !parents.has(parent)) {
      return [{ path: [index, 'parent'], message: `there is no tier ${parent}` }]
    }
    let above: string | undefined = parent
    for (let steps = 0; above !== undefined && above !== ''; steps++) {
      if (above === name || steps > tiers.length) {
        return [{ path: [index, 'parent'], message: `${name} would be below itself` }]
      }
      above = parents.get(above)
    }
    return []
  })
}

function limitProblems(
  tiers: readonly CheckedTierNode[],
  tier: CheckedTierNode,
  { deadlineSeconds }: Surroundings,
): TierProblem[] {
  const problems: TierProblem[] = []
  const members = countBelow(tiers, tier)
  if (tier.minimumUpdates > members) {
    const message = `is ${tier.minimumUpdates}; ${members} nodes belong to ${tier.name}`
    problems.push({ path: ['minimumUpdates'], message })
  }
  const parent = tiers.find(({ name }) => name === tier.parent)
  const most = parent?.deadlineSeconds ?? deadlineSeconds
  if (most !== undefined && tier.deadlineSeconds > most) {
    const whose = parent ? `that of ${parent.name}` : "the round's"
    const message = `is ${tier.deadlineSeconds}; it lies inside ${whose}, ${most}`
    problems.push({ path: ['deadlineSeconds'], message })
  }
  return problems
}

function countBelow(tiers: readonly CheckedTierNode[], tier: CheckedTierNode): number {
  const children = tiers.filter(({ parent }) => parent === tier.name)
  return children.reduce((sum, child) => sum + countBelow(tiers, child), tier.nodes.length)
}
