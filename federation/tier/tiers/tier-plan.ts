// What an edge controller should do now: its part of the campaign, and all that it needs from the tier above to go through a round
// by itself. Pure; sent again whenever it changes.
import type {
  CampaignPlan,
  CampaignStart,
  MergedRound,
  RoundBasis,
  RoundPlan,
  TierPlan,
} from '../../wire/generated/tributary.ts'
import type { Campaign } from '../rounds/campaign.ts'
import type { Round } from '../rounds/round.ts'
import { settledRoundOf } from '../rounds/settled.ts'
import type { StartRecord } from '../store/records.ts'
import type { CheckedTierNode } from './tier-nodes.ts'
import { treeOf } from './tree.ts'

/** @param left how much of the round's time was left when the controller first heard of it, from 0 to 1 */
export function tierPlanOf(
  campaign: Campaign,
  tier: CheckedTierNode,
  left: number,
): Omit<TierPlan, 'tokenKeys' | 'agentUsername'> {
  const members = treeOf(campaign.plan).members(tier.name)
  const round = roundToCollect(campaign)
  const plan = planOf(campaign, tier, round && partOf(campaign, tier, { round, left }))
  return {
    epoch: tier.epoch,
    plan,
    start: campaign.start && startOf(campaign.start),
    basis: round && plan.round && basisOf(campaign, round, members),
    merged: mergedOf(campaign, members),
    settledRound: settledRoundOf(campaign),
  }
}

/** The round that takes updates now, as it was opened: whatever the plan says since, it stays what it is. */
function roundToCollect({ current, plan, failure }: Campaign): Round | undefined {
  if (!current?.isCollecting() || current.attempt.pausedMs !== undefined) return undefined
  return plan.finished || failure ? undefined : current
}

function partOf(
  { plan }: Campaign,
  tier: CheckedTierNode,
  { round: { attempt }, left }: { round: Round; left: number },
): RoundPlan | undefined {
  const members = treeOf(plan).members(tier.name)
  const participants = attempt.participants.filter((node) => members.has(node))
  if (participants.length === 0) return undefined
  return {
    round: attempt.round,
    attempt: attempt.attempt,
    participants,
    minimumUpdates: Math.min(tier.minimumUpdates, participants.length),
    // Who takes over in the middle has less time, or its sum would come when the round is closed.
    deadlineSeconds: Math.max(1, Math.ceil(tier.deadlineSeconds * left)),
    rounds: Math.max(attempt.round, plan.round?.rounds ?? 0),
    population: attempt.population,
  }
}

function planOf({ plan }: Campaign, { name }: CheckedTierNode, round: RoundPlan | undefined): CampaignPlan {
  const tree = treeOf(plan)
  const members = tree.members(name)
  const participants = plan.participants.filter(({ node }) => members.has(node))
  return { ...plan, participants, round, tiers: tree.below(name) }
}

function startOf({ tensors, localRanges, ...start }: StartRecord): CampaignStart {
  const shapes = tensors.map(({ shape, trainable }) => ({ dimensions: shape, trainable }))
  return { ...start, tensors: shapes, localRanges }
}

function basisOf({ buffers, rounds }: Campaign, round: Round, members: ReadonlySet<string>): RoundBasis {
  const { base, learningRate, population } = round.attempt
  const counted = [...buffers.of(round.number).keys()].filter((node) => members.has(node)).sort()
  const delta = rounds.get(round.number - 1)?.result?.delta
  return { round: round.number, parameters: base, learningRate, population, delta, counted }
}

function mergedOf({ rounds }: Campaign, members: ReadonlySet<string>): MergedRound | undefined {
  const merged = [...rounds.values()].filter(({ result }) => result)
  const newest = merged.reduce<Round | undefined>((a, b) => (a && a.number > b.number ? a : b), undefined)
  if (!newest?.result) return undefined
  const { parameters, delta, evaluationDeadlineMs } = newest.result
  const missing = newest.closed ? [] : newest.missingEvaluations()
  const evaluators = missing.filter((node) => members.has(node))
  const shared = { round: newest.number, parameters, delta, evaluators }
  return { ...shared, evaluationDeadlineUnixMs: evaluationDeadlineMs }
}
