// What the status says of zones and their edge controllers. Bounded: MOST_TIERS zones, what is beyond them as a number.
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import { zonesOf } from '#crds/hierarchy.ts'
import type { ConditionFacts } from '#operator/conditions.ts'
import { truncate } from '#operator/conditions.ts'
import type { Observation } from './decision.ts'
import { askedOf, furtherZones, stateOf } from './tiers.ts'
import type { Placement } from './tiers.ts'

type Tier = NonNullable<FederatedRoundStatus['tiers']>[number]

/** States in which a controller takes updates. */
const AVAILABLE = ['Connected', 'Delivered']
/** Zones that a message names. */
const NAMED = 5

/**
 * @param isOver what is then said stays for good: not the UIDs of pods, which are for noticing that one is gone, and of which the
 * last may not have been seen yet
 */
export function tierStatus(
  seen: Observation,
  placed: Placement[],
  isOver: boolean,
): Partial<FederatedRoundStatus> {
  if (!zonesOf(seen.round.spec.hierarchy)) return {}
  const tiers = placed.map(({ podUid, ...placement }) =>
    tierOf(seen, { ...placement, podUid: isOver ? undefined : podUid }),
  )
  const wanted = tiers.filter(({ state }) => state !== 'Empty')
  return { tiers, zonesProgress: `${wanted.filter(isAvailable).length}/${wanted.length}` }
}

function tierOf(seen: Observation, placement: Placement): Tier {
  const { zone, node, pod, podUid, placedAt, epoch, members } = placement
  const current = seen.campaign.kind === 'known' ? seen.campaign.state.current : undefined
  const state = stateOf(seen, placement)
  const fresh = state?.round === current?.round ? state : undefined
  const said = stateAndMessage(seen, placement)
  return {
    ...{ zone, state: truncate(said.state, 64), node, pod, epoch },
    ...(podUid === undefined ? {} : { podUid }),
    ...(placedAt === undefined ? {} : { placedAt }),
    received: fresh?.received ?? 0,
    wanted: fresh?.wanted ?? askedOf(members, current?.participants ?? []),
    ...(said.message === '' ? {} : { message: truncate(said.message, 512) }),
  }
}

interface Said {
  state: string
  message: string
}

/** The nearest cause wins: the zone, the node, what the controller itself says, its pod. */
function stateAndMessage(seen: Observation, placement: Placement): Said {
  const { node, lost, trains, because } = placement
  if (!trains) return { state: 'Empty', message: 'no node of the zone may train any more' }
  if (node === '')
    return { state: 'NoNode', message: 'no Ready node of the zone matches; its nodes belong to the hub' }
  if (lost !== undefined) return { state: 'Lost', message: lost }
  const state = stateOf(seen, placement)
  if (state?.connected && state.problemReason !== '')
    return { state: state.problemReason, message: state.problemMessage }
  if (state?.connected) return { state: state.delivered ? 'Delivered' : 'Connected', message: '' }
  const starting = startOf(seen, placement)
  if (starting !== undefined) return { state: 'Starting', message: starting || (because ?? '') }
  return { state: 'NotConnected', message: 'the controller runs but has no connection to the hub' }
}

/** What stands in the way of a controller that starts; undefined for one that has started. */
function startOf(seen: Observation, placement: Placement): string | undefined {
  const found = seen.controllers.find(({ name }) => name === placement.pod)
  if (found?.phase === 'Running' && found.reason === '') return isNew(seen, placement) ? '' : undefined
  return [found?.reason ?? '', found?.message ?? ''].filter((part) => part !== '').join(': ')
}

/** A pod that runs has yet to open its folder and reach the hub: not heard in this epoch, which has just begun. */
function isNew(seen: Observation, placement: Placement): boolean {
  const controller = zonesOf(seen.round.spec.hierarchy)?.controller
  const placedMs = Date.parse(placement.placedAt ?? '')
  const heard = (stateOf(seen, placement)?.lastSeenUnixMs ?? 0) >= placedMs
  return !heard && seen.now - placedMs < (controller?.lostAfterSeconds ?? 0) * 1000
}

const isAvailable = ({ state }: Tier): boolean => AVAILABLE.includes(state)

/** The condition of a campaign in zones; none when it is flat. */
export function controllersFact(seen: Observation, placed: Placement[]): ConditionFacts[] {
  const zones = zonesOf(seen.round.spec.hierarchy)
  if (!zones) return []
  const type = 'ControllersAvailable'
  if (seen.campaign.kind === 'unreachable') {
    const message = `the hub does not answer: ${seen.campaign.message}`
    return [{ type, status: 'Unknown', reason: 'HubUnreachable', message }]
  }
  const tiers = placed.map((placement) => tierOf(seen, placement)).filter(({ state }) => state !== 'Empty')
  if (tiers.length === 0) {
    const message = `no node that may train has a label ${zones.nodeLabel}: all belong to the hub`
    return [{ type, status: 'False', reason: 'NoZones', message }]
  }
  const missing = tiers.filter((tier) => !isAvailable(tier))
  const verdict = verdictOf(missing)
  const message = `${tiers.length - missing.length} of ${tiers.length} zones have a controller that takes updates`
  return [{ type, ...verdict, message: message + named(missing) + further(furtherZones(seen, placed)) }]
}

function verdictOf(missing: Tier[]): Pick<ConditionFacts, 'status' | 'reason'> {
  if (missing.length === 0) return { status: 'True', reason: 'AllConnected' }
  if (missing.every(({ state }) => state === 'Starting'))
    return { status: 'Unknown', reason: 'ControllersStarting' }
  if (missing.some(({ state }) => state === 'DiskFull')) return { status: 'False', reason: 'DiskFull' }
  return { status: 'False', reason: 'ControllersMissing' }
}

function named(missing: Tier[]): string {
  if (missing.length === 0) return ''
  const names = missing.slice(0, NAMED).map(({ zone, state }) => `${zone} (${state})`)
  return `; without: ${names.join(', ')}${missing.length > NAMED ? ` and ${missing.length - NAMED} more` : ''}`
}

function further(count: number): string {
  return count === 0 ? '' : `; nodes of ${count} further zones belong to the hub`
}
