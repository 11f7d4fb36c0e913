// What to do about a FederatedRound: a pure function of one observation. Every action is idempotent, so that a crash
// between any two of them is mended by the next pass.
import { FINALIZER } from '#crds/names.ts'
import type { RoundPlan } from '#federation/wire/generated/tributary.ts'
import { deleteAllPods, deletePods, deletion } from './deletion.ts'
import type { Action, Decision, Observation } from './decision.ts'
import type { Candidate } from './participants.ts'
import { podName } from './participants.ts'
import { campaignPlan, planOfRunning } from './plan.ts'
import type { Situation } from './situation.ts'
import { assess, poolOf } from './situation.ts'
import { statusOf } from './status.ts'
import { rollOutEnd } from './roll-out.ts'
import { createControllers, placements, superseded, tierNodes } from './tiers.ts'
import type { Placement } from './tiers.ts'

/** A pass at least this often while a campaign is going on: the hub's change stream may miss nothing, but a clock must be looked at. */
const LOOK_AGAIN_MS = 15_000

export function decide(seen: Observation): Decision {
  if (seen.round.deleting) return deletion(seen)
  const situation = assess(seen)
  const finalizer: Action[] = seen.round.finalizers.includes(FINALIZER) ? [] : [{ kind: 'addFinalizer' }]
  const placed = placements(seen, situation.kind === 'running' || situation.kind === 'planning')
  const status = statusOf(seen, situation, placed)
  const rollingOutUntil = rollOutEnd(seen, situation, placed)
  const tree = { placed, controllersStay: rollingOutUntil !== undefined }
  const wake = wakeAfter(seen, situation, rollingOutUntil)
  return {
    actions: [...finalizer, ...actionsFor(seen, situation, tree)],
    status,
    ...(wake === undefined ? {} : { requeueAfterMs: wake }),
  }
}

interface Tree {
  placed: Placement[]
  /** Of a campaign that is over. */
  controllersStay: boolean
}

function actionsFor(seen: Observation, situation: Situation, tree: Tree): Action[] {
  const { placed } = tree
  const pool = poolOf(seen)
  switch (situation.kind) {
    case 'running':
      return runRound(seen, { pool, placed }, planOfRunning(seen, situation.round, pool.length))
    case 'planning':
      return runRound(seen, { pool, placed }, situation.plan)
    case 'publishing': {
      const request = {
        modelUid: seen.model?.uid ?? '',
        campaign: seen.round.uid,
        round: situation.round.round,
      }
      return [{ kind: 'publishVersion', request }]
    }
    case 'suspended':
      return deleteAllPods(seen)
    case 'ended':
      return end(seen, situation.reason, tree)
    case 'waiting':
    case 'backingOff':
    case 'hubUnreachable':
      return []
  }
}

/** Pods first: the round's deadline runs from the moment the hub has the plan. */
function runRound(
  seen: Observation,
  { pool, placed }: { pool: Candidate[]; placed: Placement[] },
  round: RoundPlan,
): Action[] {
  const eligible = new Set(pool.map((candidate) => candidate.node.name))
  const wanted = pool.filter((candidate) => round.participants.includes(candidate.node.name))
  const kept = seen.pods.filter((pod) => eligible.has(pod.node)).map((pod) => pod.node)
  const nodes = [...new Set([...round.participants, ...kept])].sort()
  const tiers = tierNodes(seen, placed, round.participants)
  return [
    ...deletePods(
      seen.pods,
      (pod) => !eligible.has(pod.node) || pod.phase === 'Failed' || pod.phase === 'Succeeded',
    ),
    ...deletePods(superseded(seen, placed)),
    ...createControllers(seen, placed),
    ...createPods(seen, wanted),
    { kind: 'applyCampaign', plan: campaignPlan(seen, { round, nodes, tiers }) },
  ]
}

function createPods(seen: Observation, wanted: Candidate[]): Action[] {
  const present = new Set(seen.pods.map((pod) => pod.node))
  return wanted
    .filter((candidate) => !present.has(candidate.node.name))
    .map(({ node, ...rest }) => ({
      kind: 'createPod',
      pod: { name: podName(seen.round, node.name), node: node.name, ...rest },
    }))
}

/**
 * The hub first: pods that hear of the end leave nothing on their nodes. Should telling it fail, the pods go all the same.
 * Edge controllers stay while they hand out the last version.
 */
function end(seen: Observation, reason: string, { placed, controllersStay }: Tree): Action[] {
  const nodes = seen.pods.map((pod) => pod.node).sort()
  const tiers = tierNodes(seen, placed, [])
  const known = seen.campaign.kind === 'known' && seen.campaign.state.known
  const tell: Action[] =
    known && seen.model && nodes.length + seen.controllers.length > 0
      ? [
          {
            kind: 'applyCampaign',
            plan: campaignPlan(seen, { round: undefined, nodes, tiers, finished: reason, controllersStay }),
          },
        ]
      : []
  if (!controllersStay) return [...tell, ...deleteAllPods(seen)]
  return [...tell, ...deletePods(seen.pods), ...deletePods(superseded(seen, placed))]
}

function wakeAfter(
  seen: Observation,
  situation: Situation,
  rollingOutUntil: number | undefined,
): number | undefined {
  if (situation.kind === 'ended' && rollingOutUntil === undefined) return undefined
  const active = situation.kind === 'ended' ? undefined : seen.round.spec.activeDeadlineSeconds
  const deadlines = [
    ...(rollingOutUntil === undefined ? [] : [rollingOutUntil - seen.now]),
    ...(active === undefined ? [] : [seen.round.createdAt + active * 1000 - seen.now]),
    ...(situation.kind === 'waiting' || situation.kind === 'backingOff' ? [situation.until - seen.now] : []),
    ...(situation.kind === 'suspended' ? [] : [LOOK_AGAIN_MS]),
  ]
  return deadlines.length === 0 ? undefined : Math.max(100, Math.min(...deadlines))
}
