// How a FederatedRound goes away: the hub's part and its pods, and the object last. A pod on an unreachable node may
// still run, so the object stays until the pod is gone, and says whose pods are awaited; after maxOfflineSeconds it is given up.
import { FINALIZER } from '#crds/names.ts'
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import { conditionsOf, timestamp } from '#operator/conditions.ts'
import type { ConditionFacts } from '#operator/conditions.ts'
import type { PodView } from '#operator/objects.ts'
import type { Action, Decision, Observation } from './decision.ts'

/** A pass at least this often while pods are awaited. */
const LOOK_AGAIN_MS = 15_000
/** Pods that a message names. */
const MOST_NAMED = 10

export function deletion(seen: Observation): Decision {
  const { round, now } = seen
  if (!round.finalizers.includes(FINALIZER)) return { actions: [] }
  const actions = end(seen)
  if (allPods(seen).length === 0)
    return { actions: [{ kind: 'expectNoPods' }, ...actions, { kind: 'removeFinalizer' }] }
  const until = (round.deletedAt ?? now) + round.spec.maxOfflineSeconds * 1000
  if (now >= until) {
    return { actions: [...actions, { kind: 'removeFinalizer' }], status: statusOf(seen, givenUp(seen)) }
  }
  return {
    actions,
    status: statusOf(seen, awaiting(seen, until)),
    requeueAfterMs: Math.min(LOOK_AGAIN_MS, until - now),
  }
}

/**
 * A hub that answers hears of it before the pods go: it tells them that the campaign is over, and they clear away what they keep of
 * it on their nodes. One that does not answer keeps no pod.
 */
function end(seen: Observation): Action[] {
  const campaign: Action = { kind: 'deleteCampaign', uid: seen.round.uid }
  const pods = deleteAllPods(seen)
  return seen.campaign.kind === 'known' ? [campaign, ...pods] : [...pods, campaign]
}

export function deletePods(pods: PodView[], when: (pod: PodView) => boolean = () => true): Action[] {
  return pods
    .filter((pod) => !pod.deleting && when(pod))
    .map((pod) => ({ kind: 'deletePod', name: pod.name, uid: pod.uid }))
}

export function deleteAllPods(seen: Observation): Action[] {
  return deletePods(allPods(seen))
}

function allPods({ pods, controllers }: Observation): PodView[] {
  return [...pods, ...controllers]
}

function awaiting(seen: Observation, until: number): ConditionFacts {
  return {
    type: 'Progressing',
    status: 'False',
    reason: 'AwaitingPods',
    message: `deleted; until ${timestamp(until)} these pods are awaited: ${awaited(seen)}`,
  }
}

function givenUp(seen: Observation): ConditionFacts {
  return {
    type: 'Progressing',
    status: 'False',
    reason: 'PodsGivenUp',
    message: `deleted ${seen.round.spec.maxOfflineSeconds} s ago (maxOfflineSeconds); these pods may still run: ${awaited(seen)}`,
  }
}

function awaited(seen: Observation): string {
  const ready = new Map(seen.nodes.map((node) => [node.name, node]))
  const names = allPods(seen)
    .sort((a, b) => (a.node < b.node ? -1 : 1))
    .map((pod) => {
      const node = ready.get(pod.node)
      const where = node && node.ready !== 'True' ? `, unreachable since ${node.readySince}` : ''
      return `${pod.name} (node ${pod.node}${where})`
    })
  const rest = names.length - MOST_NAMED
  return names.slice(0, MOST_NAMED).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

/** What the campaign was stays as it was told; only that it goes away is new. */
function statusOf({ round, now }: Observation, fact: ConditionFacts): FederatedRoundStatus {
  const at = { now, generation: round.generation }
  const facts = [fact, { ...fact, type: 'Ready' }]
  const told = round.status?.conditions ?? []
  const others = told.filter(({ type }) => !facts.some((each) => each.type === type))
  return {
    ...round.status,
    observedGeneration: round.generation,
    phase: 'Deleting',
    conditions: [...conditionsOf(facts, told, at), ...others],
  }
}
