// Which zones have an edge controller, on which node, and in which epoch: pure. The status remembers it and is written
// before anything is done, so that a zone's epoch only rises and the name of a controller's pod, which is its fence, is
// never given twice (docs/decisions/0062-placement-and-epochs.md).
import { createHash } from 'node:crypto'
import { MOST_TIERS } from '#crds/federated-round-status.ts'
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import { zonesOf } from '#crds/hierarchy.ts'
import type { Zones } from '#crds/hierarchy.ts'
import type { TierNode, TierState } from '#federation/wire/generated/tributary.ts'
import type { ControllerView, FederatedRound, NodeView } from '#operator/objects.ts'
import { isReady } from '#operator/objects.ts'
import { timestamp } from '#operator/conditions.ts'
import { matches } from '#operator/selector.ts'
import type { Action, Observation } from './decision.ts'
import { compareNames } from './participants.ts'
import { poolOf } from './situation.ts'

type Recorded = NonNullable<FederatedRoundStatus['tiers']>[number]

export interface Placement {
  zone: string
  /** 0: the zone never had a controller. */
  epoch: number
  /** Empty: no controller. */
  node: string
  pod: string
  podUid: string | undefined
  /** When the epoch began, as in the status. */
  placedAt: string | undefined
  /** All nodes of the zone, sorted by name. */
  members: string[]
  /** False when no node of the zone may train any more. */
  trains: boolean
  /** Why the controller counts as lost; it keeps its place as nothing takes it over. */
  lost: string | undefined
  /** True when the controller cannot come back, as its node was deleted. */
  gone: boolean
  /** True when its nodes wait for the controller, or for one that takes over; false when they belong to the hub while it is not heard. */
  awaited: boolean
  /** Why this epoch follows another one; of the pass that began it. */
  because: string | undefined
}

/** @param deciding false while no round is planned or runs: then everything stays where it is */
export function placements(seen: Observation, deciding: boolean): Placement[] {
  const zones = zonesOf(seen.round.spec.hierarchy)
  if (!zones) return []
  const recorded = new Map((seen.round.status?.tiers ?? []).map((tier) => [tier.zone, tier]))
  const training = trainingZones(seen, zones)
  const nodes = Map.groupBy(seen.nodes, (node) => zoneOf(node, zones))
  return namesOf([...recorded.keys()], [...training]).map((zone) => {
    const facts = { seen, zones, zone, nodes: nodes.get(zone) ?? [] }
    const before = beforeOf(facts, recorded.get(zone))
    if (!training.has(zone)) return { ...withoutController(before), trains: false }
    return deciding ? place(facts, before) : before
  })
}

/** Zones of nodes that may train and that get no controller, as there are too many. */
export function furtherZones(seen: Observation, placed: Placement[]): number {
  const zones = zonesOf(seen.round.spec.hierarchy)
  if (!zones) return 0
  const known = new Set(placed.map(({ zone }) => zone))
  return [...trainingZones(seen, zones)].filter((zone) => !known.has(zone)).length
}

function zoneOf(node: NodeView, { nodeLabel }: Zones): string {
  return node.labels[nodeLabel] ?? ''
}

function trainingZones(seen: Observation, zones: Zones): Set<string> {
  const found = new Set(poolOf(seen).map(({ node }) => zoneOf(node, zones)))
  found.delete('')
  return found
}

/** Zones that have a place keep it; new ones follow in byte order while there is room. */
function namesOf(recorded: string[], training: string[]): string[] {
  const fresh = training.filter((zone) => !recorded.includes(zone)).sort(compareNames)
  return [...recorded, ...fresh].slice(0, MOST_TIERS).sort(compareNames)
}

interface ZoneFacts {
  seen: Observation
  zones: Zones
  zone: string
  /** All nodes of the zone. */
  nodes: NodeView[]
}

function beforeOf(facts: ZoneFacts, recorded: Recorded | undefined): Placement {
  const { epoch = 0, node = '', pod = '', podUid, placedAt } = recorded ?? {}
  const before = {
    ...{ zone: facts.zone, epoch, node, pod, placedAt },
    podUid: podUid ?? facts.seen.controllers.find(({ name }) => pod !== '' && name === pod)?.uid,
    members: facts.nodes.map(({ name }) => name).sort(compareNames),
    ...{ trains: true, lost: undefined, gone: false, because: undefined },
    awaited: false,
  }
  return { ...before, awaited: isAwaited(facts, before) }
}

/** A controller that nobody hears is awaited for as long as a lost one, be it only that its image cannot be pulled. */
function isAwaited(facts: ZoneFacts, before: Placement): boolean {
  const { whenLost, lostAfterSeconds } = facts.zones.controller
  if (whenLost !== 'Replace') return false
  const state = stateOf(facts.seen, before)
  const heard = Math.max(state?.lastSeenUnixMs ?? 0, Date.parse(before.placedAt ?? '') || 0)
  return state?.connected === true || facts.seen.now - heard < lostAfterSeconds * 1000
}

function withoutController(before: Placement): Placement {
  return { ...before, node: '', pod: '', podUid: undefined, placedAt: undefined }
}

function place(facts: ZoneFacts, before: Placement): Placement {
  if (before.node === '') return begin(facts, before, { nodes: usable(facts), because: undefined })
  const loss = lossOf(facts, before)
  if (loss) {
    const nodes = loss.takeOver ? usable(facts) : []
    return begin(facts, { ...before, lost: loss.why, gone: loss.gone }, { nodes, because: loss.why })
  }
  const ended = endOfPod(facts, before)
  if (ended === undefined) return before
  const here = usable(facts).filter(({ name }) => name === before.node)
  return begin(facts, before, { nodes: here.length > 0 ? here : usable(facts), because: ended })
}

/** A new epoch on the best of the nodes; without one, what was stays. */
function begin(
  facts: ZoneFacts,
  before: Placement,
  { nodes, because }: { nodes: NodeView[]; because: string | undefined },
): Placement {
  const { seen, zone } = facts
  const node = best(nodes, `${seen.round.uid}/${zone}`)
  if (node === undefined) return before
  const epoch = before.epoch + 1
  const pod = controllerName(seen.round, zone, epoch)
  const begun = { epoch, node, pod, podUid: undefined, placedAt: timestamp(seen.now) }
  const placement = { ...before, ...begun, lost: undefined, gone: false, because }
  return { ...placement, awaited: isAwaited(facts, placement) }
}

/** Nodes that may take the zone's controller now. */
function usable({ zones, nodes }: ZoneFacts): NodeView[] {
  const { nodeSelector } = zones.controller
  return nodes.filter((node) => isReady(node) && matches(nodeSelector, node.labels))
}

/** The node whose name has the least hash together with campaign and zone: the same for every operator, and spread. */
function best(nodes: NodeView[], salt: string): string | undefined {
  return nodes
    .map(({ name }) => ({ name, rank: createHash('sha256').update(`${salt}/${name}`).digest('hex') }))
    .sort((a, b) => compareNames(a.rank, b.rank))[0]?.name
}

interface Loss {
  why: string
  /** Whether another node takes over, when there is one. */
  takeOver: boolean
  gone: boolean
}

function lossOf({ seen, zones, zone }: ZoneFacts, before: Placement): Loss | undefined {
  const { whenLost, lostAfterSeconds } = zones.controller
  const node = seen.nodes.find(({ name }) => name === before.node)
  const takeOver = whenLost === 'Replace'
  if (!node) return { why: `node ${before.node} was deleted`, takeOver, gone: true }
  // It is another zone's now: this is no fault that ends by itself.
  if (zoneOf(node, zones) !== zone)
    return { why: `node ${before.node} left the zone`, takeOver: true, gone: false }
  if (node.ready === 'True' || stateOf(seen, before)?.connected) return undefined
  if (seen.now - Date.parse(node.readySince) < lostAfterSeconds * 1000) return undefined
  return { why: `node ${before.node} is not Ready since ${node.readySince}`, takeOver, gone: false }
}

/** What the hub says of the zone's controller, when it speaks of this epoch. */
export function stateOf({ campaign }: Observation, { zone, epoch }: Placement): TierState | undefined {
  if (campaign.kind !== 'known') return undefined
  return campaign.state.tiers.find((tier) => tier.name === zone && tier.epoch === epoch)
}

/**
 * Why the pod of this epoch will not work any more. A pod that was seen and is gone is not made again under its name: deleted
 * by force, its process may still run. One that is going away keeps its epoch until it is gone, as the next one on that
 * node takes over its folder.
 */
function endOfPod({ seen }: ZoneFacts, { pod, podUid }: Placement): string | undefined {
  const found = seen.controllers.find(({ name }) => name === pod)
  if (!found || found.uid !== podUid) return podUid === undefined ? undefined : `pod ${pod} was deleted`
  if (!isFinished(found)) return undefined
  return `pod ${pod} ended: ${found.message || found.reason || found.phase}`
}

function isFinished({ phase }: ControllerView): boolean {
  return phase === 'Failed' || phase === 'Succeeded'
}

/** Pods of controllers that no placement wants. A later epoch than the known one is left alone: this sight is old. */
export function superseded({ controllers }: Observation, placed: Placement[]): ControllerView[] {
  return controllers.filter((pod) => {
    const placement = placed.find(({ zone }) => zone === pod.zone)
    return placement === undefined || (pod.epoch <= placement.epoch && pod.name !== placement.pod)
  })
}

export function createControllers(seen: Observation, placed: Placement[]): Action[] {
  const { controllers } = seen
  return placed
    .filter(({ node, lost, podUid }) => node !== '' && lost === undefined && podUid === undefined)
    .filter(
      ({ zone, node }) =>
        !controllers.some((pod) => pod.zone === zone && pod.node === node && !isFinished(pod)),
    )
    .map(({ pod, node, zone, epoch, members }) => ({
      kind: 'createController',
      controller: { name: pod, node, zone, epoch, ...rateAt(seen, node, members) },
    }))
}

/** That of its node, or, where that node does not train, the least of its zone, whose link it is likely to share. */
function rateAt(seen: Observation, node: string, members: string[]): { bytesPerSecond?: number } {
  const rates = new Map(poolOf(seen).map((candidate) => [candidate.node.name, candidate.bytesPerSecond]))
  const known = (rates.has(node) ? [node] : members).map((name) => rates.get(name) ?? Infinity)
  const bytesPerSecond = Math.min(...known)
  return bytesPerSecond < Infinity ? { bytesPerSecond } : {}
}

/** The tree as the hub gets it; nodes of a zone without a controller belong to the hub. */
export function tierNodes({ round }: Observation, placed: Placement[], asked: string[]): TierNode[] {
  const zones = zonesOf(round.spec.hierarchy)
  if (!zones) return []
  return placed
    .filter(({ node, gone }) => node !== '' && !gone)
    .map(({ zone, node, pod, epoch, members, awaited }) => ({
      ...{ name: zone, parent: '', node, pod, epoch, nodes: members },
      minimumUpdates: quorumOf(zones, askedOf(members, asked)),
      deadlineSeconds: deadlineOf(zones, round.spec.completion.deadlineSeconds),
      replacedWhenLost: awaited,
    }))
}

export function askedOf(members: string[], asked: string[]): number {
  const wanted = new Set(asked)
  return members.filter((node) => wanted.has(node)).length
}

function quorumOf({ minUpdates }: Zones, asked: number): number {
  const wanted =
    typeof minUpdates === 'number' ? minUpdates : Math.ceil((Number.parseInt(minUpdates, 10) * asked) / 100)
  return Math.max(1, Math.min(wanted, asked))
}

function deadlineOf({ deadlineSeconds }: Zones, round: number): number {
  return deadlineSeconds ?? Math.max(1, Math.floor(round * 0.8))
}

/** Never the same for two epochs, nor for two zones. */
export function controllerName(
  round: Pick<FederatedRound, 'name' | 'uid'>,
  zone: string,
  epoch: number,
): string {
  const hash = createHash('sha256').update(`${round.uid}/zone/${zone}`).digest('hex').slice(0, 12)
  return `${round.name.slice(0, 40).replace(/[-.]+$/, '')}-${hash}-${epoch}`
}
