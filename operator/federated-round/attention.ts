// Nodes that a person should look at, each with one reason: the nearest cause wins (the node, then its pod, then what
// the training pod itself reported).
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import type { ParticipantState, RoundState } from '#federation/wire/generated/tributary.ts'
import { RoundState_Phase as Phase } from '#federation/wire/generated/tributary.ts'
import { truncate } from '#operator/conditions.ts'
import type { NodeView, PodView } from '#operator/objects.ts'
import type { Observation } from './decision.ts'
import { isBuffered } from './plan.ts'
import { poolOf } from './situation.ts'

type Attention = NonNullable<FederatedRoundStatus['participants']>[number]

/** Entries in status at most; the rest of a long list says the same. */
const MAXIMUM = 50

export function attention(seen: Observation): Attention[] {
  const current = seen.campaign.kind === 'known' ? seen.campaign.state.current : undefined
  const states = new Map(
    (seen.campaign.kind === 'known' ? seen.campaign.state.participants : []).map((state) => [
      state.node,
      state,
    ]),
  )
  const pods = new Map(seen.pods.map((pod) => [pod.node, pod]))
  const nodes = new Map(poolOf(seen).map((candidate) => [candidate.node.name, candidate.node]))
  const names = [...new Set([...nodes.keys(), ...(current?.participants ?? [])])].sort()
  return names
    .flatMap((name) => {
      const cause = causeOf({
        node: nodes.get(name),
        pod: pods.get(name),
        state: states.get(name),
        round: current,
        buffered: isBuffered(seen.round.spec),
        name,
      })
      return cause ? [{ node: name, reason: cause.reason, message: truncate(cause.message, 512) }] : []
    })
    .slice(0, MAXIMUM)
}

interface Facts {
  name: string
  node: NodeView | undefined
  pod: PodView | undefined
  state: ParticipantState | undefined
  round: RoundState | undefined
  /** Nobody is late who trains on for a later round. */
  buffered: boolean
}

function causeOf(facts: Facts): { reason: string; message: string } | undefined {
  const ofNode = nodeCause(facts.node)
  if (ofNode) return ofNode
  const { round, state, name } = facts
  if (!round?.participants.includes(name)) return undefined
  const here = state?.round === round.round ? state : undefined
  if (here?.updateAccepted) return undefined
  if (!facts.node) return { reason: 'NodeGone', message: 'the node was deleted or no longer matches' }
  if (here && here.failureReason !== '') return { reason: here.failureReason, message: here.failureMessage }
  const ofPod = podCause(facts)
  if (ofPod) return ofPod
  if (round.phase === Phase.COLLECTING || facts.buffered) return undefined
  return { reason: 'Late', message: `no update to round ${round.round} when it closed` }
}

function nodeCause(node: NodeView | undefined): { reason: string; message: string } | undefined {
  if (!node) return undefined
  if (node.ready === 'Unknown')
    return { reason: 'NodeUnreachable', message: `the node has not been heard since ${node.readySince}` }
  if (node.ready === 'False')
    return { reason: 'NodeNotReady', message: `the node is not Ready since ${node.readySince}` }
  if (node.unschedulable) return { reason: 'NodeNotReady', message: 'the node is cordoned' }
  return undefined
}

function podCause({ pod, state }: Facts): { reason: string; message: string } | undefined {
  if (!pod) return { reason: 'PodPending', message: 'the training pod is not created yet' }
  if (pod.phase === 'Failed') return { reason: 'PodFailed', message: pod.message || pod.reason }
  if (pod.phase === 'Pending' || pod.reason !== '') {
    return {
      reason: 'PodPending',
      message:
        [pod.reason, pod.message].filter((part) => part !== '').join(': ') || 'the training pod is starting',
    }
  }
  if (!state?.connected)
    return { reason: 'NotConnected', message: 'the training pod runs but has no connection to the hub' }
  return undefined
}
