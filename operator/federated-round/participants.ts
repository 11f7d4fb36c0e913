// Which nodes may train, and which of them are drawn for a round. Pure: the draw depends on the campaign's UID, seed,
// round and attempt only, so that a restarted operator draws the same nodes from the same fleet.
import { createHash } from 'node:crypto'
import type { ParticipantState } from '#federation/wire/generated/tributary.ts'
import type { DeviceProfile, FederatedRound, NodeView } from '#operator/objects.ts'
import { isReady } from '#operator/objects.ts'
import { parseQuantity } from '#operator/kube/quantity.ts'
import { LEAST_BYTES_PER_SECOND } from '#federation/wire/pacer.ts'
import { matches } from '#operator/selector.ts'

export interface Candidate {
  node: NodeView
  dataset: { hostPath: string; labelColumns: string[] }
  /** What transfers may take of the node's link. */
  bytesPerSecond?: number
}

/** Nodes of the round's profiles that hold the data set, sorted by name. A node of several profiles takes the first that has it. */
export function candidates(round: FederatedRound, profiles: DeviceProfile[], nodes: NodeView[]): Candidate[] {
  const inOrder = round.spec.participants.profiles.flatMap((name) =>
    profiles.filter((profile) => profile.name === name),
  )
  const found: Candidate[] = []
  for (const node of nodes) {
    if (!matches(round.spec.participants.nodeSelector, node.labels)) continue
    const profile = inOrder.find(
      ({ spec }) => matches(spec.nodeSelector, node.labels) && holds(spec, round.spec.dataset),
    )
    const dataset = profile && holds(profile.spec, round.spec.dataset)
    if (!profile || !dataset || isLinkUnknown(round, profile)) continue
    const { hostPath, labelColumns } = dataset
    found.push({ node, dataset: { hostPath, labelColumns }, ...rateOf(round, profile) })
  }
  return found.sort((a, b) => compareNames(a.node.name, b.node.name))
}

/** A limit that is wanted cannot be kept where nobody said what the link carries. */
export function isLinkUnknown({ spec }: FederatedRound, profile: DeviceProfile): boolean {
  const wanted = spec.transfer.linkFraction !== undefined && holds(profile.spec, spec.dataset) !== undefined
  return wanted && profile.spec.link === undefined
}

function rateOf({ spec }: FederatedRound, profile: DeviceProfile): { bytesPerSecond?: number } {
  const bandwidth = parseQuantity(profile.spec.link?.bandwidth)
  const { linkFraction } = spec.transfer
  if (bandwidth === undefined || linkFraction === undefined) return {}
  return { bytesPerSecond: Math.max(LEAST_BYTES_PER_SECOND, Math.floor(bandwidth * linkFraction)) }
}

function holds({ datasets }: DeviceProfile['spec'], name: string) {
  return datasets.find((entry) => entry.name === name)
}

/** Draws at most `perRound` Ready candidates for one attempt; `keep` are in whatever happens (their update is already accepted, or they train). */
export function draw(
  round: FederatedRound,
  pool: Candidate[],
  attempt: { round: number; attempt: number; keep: string[] },
): string[] {
  const ready = pool
    .map((candidate) => candidate.node)
    .filter((node) => isReady(node) && !attempt.keep.includes(node.name))
  const wanted = (round.spec.participants.perRound ?? pool.length) - attempt.keep.length
  const salt = `${round.uid}/${round.spec.training.seed}/${attempt.round}/${attempt.attempt}`
  const drawn = ready
    .map((node) => ({
      name: node.name,
      rank: createHash('sha256').update(`${salt}/${node.name}`).digest('hex'),
    }))
    .sort((a, b) => compareNames(a.rank, b.rank))
    .slice(0, Math.max(0, wanted))
    .map((entry) => entry.name)
  return [...attempt.keep, ...drawn].sort(compareNames)
}

/**
 * With FedBuff, nodes that train on from an earlier round: they hold their places as long as they are Ready and connected. One
 * whose pod does not come back would otherwise take a place for as many rounds as its update would have counted in.
 */
export function trainingNodes(pool: Candidate[], states: ParticipantState[]): string[] {
  const trains = ({ connected, trainsFrom }: ParticipantState): boolean => connected && trainsFrom > 0
  const training = new Set(states.filter(trains).map(({ node }) => node))
  return pool.filter(({ node }) => isReady(node) && training.has(node.name)).map(({ node }) => node.name)
}

/** Name of the training pod of a node: the same for ever, so that a second one is refused by the API server. */
export function podName(round: { name: string; uid: string }, node: string): string {
  const hash = createHash('sha256').update(`${round.uid}/${node}`).digest('hex').slice(0, 12)
  return `${round.name.slice(0, 50).replace(/[-.]+$/, '')}-${hash}`
}

/** Byte order, the same on every machine. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
