// What happens in a plan's namespace beside the fault: manifests come and go, the hub and the kubelet do their part.
// Each step waits for what it needs to be true in the world, never for a time.
import { ModelState_Phase, RoundState_Phase } from '#federation/wire/generated/tributary.ts'
import { AgentState } from '#federation/wire/generated/tributary.ts'
import { deviceProfiles, edgeModels, federatedRounds } from '#operator/resources.ts'
import { setReady } from './laboratory.ts'
import type { Stage } from './stage.ts'
import {
  applyAll,
  edit,
  ends,
  modelManifest,
  modelOf,
  NAME,
  PROFILE,
  profileManifest,
  remove,
  removeAll,
  roundManifest,
  roundOf,
  trains,
} from './steps.ts'
import { placeOf } from './world.ts'

export interface Scenario {
  name: string
  play: (stage: Stage) => Promise<void>
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'campaign', play: campaign },
  { name: 'short', play: short },
  { name: 'suspended', play: suspended },
  { name: 'repaired', play: repaired },
  { name: 'replaced', play: replaced },
  { name: 'narrowed', play: narrowed },
  { name: 'awaited', play: awaited },
  { name: 'zones', play: zones },
  { name: 'model', play: model },
  { name: 'profile', play: profile },
]

export function scenarioOf(name: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.name === name)
  if (!found) throw new Error(`scenario ${name}: there are ${SCENARIOS.map((each) => each.name).join(', ')}`)
  return found
}

/** Two rounds, a version, and everything is deleted. */
async function campaign(stage: Stage): Promise<void> {
  await applyAll(stage, { rounds: 2 })
  await trains(stage, 1)
  stage.hub.endRound(stage.namespace)
  await trains(stage, 2)
  stage.hub.endRound(stage.namespace)
  await ends(stage, 'Completed')
  await stage.until('the model shows the version', () => modelOf(stage)?.status?.latestVersion === 'v2')
  await stage.checkpoint('completed')
  await removeAll(stage)
}

/** Too few updates, twice: the campaign fails. */
async function short(stage: Stage): Promise<void> {
  await applyAll(stage, { completion: { minUpdates: 2, maxAttempts: 2 } })
  for (const attempt of [1, 2]) {
    await trains(stage, 1, { attempt })
    stage.hub.endRound(stage.namespace, { phase: RoundState_Phase.SHORT, received: 1 })
  }
  await ends(stage, 'Failed')
  await stage.checkpoint('failed')
  await removeAll(stage)
}

/** Suspended in the first round, resumed, finished. */
async function suspended(stage: Stage): Promise<void> {
  await applyAll(stage, { rounds: 2 })
  await trains(stage, 1)
  await edit(stage, federatedRounds, NAME, { suspend: true })
  stage.hub.endRound(stage.namespace)
  await ends(stage, 'Suspended')
  await stage.checkpoint('suspended')
  await edit(stage, federatedRounds, NAME, { suspend: false })
  await trains(stage, 2)
  stage.hub.endRound(stage.namespace)
  await ends(stage, 'Completed')
  await removeAll(stage)
}

/** A training pod fails and is made anew; a node is not heard of for a while. */
async function repaired(stage: Stage): Promise<void> {
  await applyAll(stage, {})
  await trains(stage, 1)
  const failing = stage.node(0)
  await stage.world.fail(`Pod of ${failing}`)
  await stage.until('the pod is made anew', () => stage.world.made.get(`Pod of ${failing}`)?.size === 2)
  await trains(stage, 1)
  await setReady(stage.direct, stage.node(1), 'Unknown')
  const isNamed = (): boolean =>
    roundOf(stage)?.status?.participants?.some(({ reason }) => reason === 'NodeUnreachable') ?? false
  await stage.until('the node is named', isNamed)
  await setReady(stage.direct, stage.node(1), 'True')
  await stage.until('the node is named no more', () => !isNamed())
  await trains(stage, 1)
  stage.hub.endRound(stage.namespace)
  await ends(stage, 'Completed')
  await stage.checkpoint('completed')
  await removeAll(stage)
}

/** Deleted in mid-round, made anew under its name. */
async function replaced(stage: Stage): Promise<void> {
  await applyAll(stage, { rounds: 2 })
  await trains(stage, 1)
  await remove(stage, federatedRounds, NAME)
  await stage.until('its pods are gone', () => stage.world.truth.pods.size === 0)
  await stage.checkpoint('deleted')
  await stage.direct.create(federatedRounds, roundManifest(stage, {}))
  await trains(stage, 1)
  stage.hub.endRound(stage.namespace)
  await ends(stage, 'Completed')
  await stage.checkpoint('completed')
  await removeAll(stage)
}

/** The profile matches a node less while the campaign runs; each round is published. */
async function narrowed(stage: Stage): Promise<void> {
  await applyAll(stage, { rounds: 2, publish: 'EveryRound' })
  await trains(stage, 1)
  const places = [stage.node(0), stage.node(1)]
  const nodeSelector = {
    matchLabels: { tier: 'edge' },
    matchExpressions: [{ key: 'place', operator: 'In', values: places }],
  }
  await edit(stage, deviceProfiles, PROFILE, { nodeSelector })
  await stage.until('the pod is gone', () => stage.world.truth.pods.size === 2)
  stage.hub.endRound(stage.namespace)
  await trains(stage, 2, { pods: 2 })
  stage.hub.endRound(stage.namespace)
  await ends(stage, 'Completed')
  await stage.until('the model shows the version', () => modelOf(stage)?.status?.latestVersion === 'v3')
  await stage.checkpoint('completed')
  await removeAll(stage)
}

/** The campaign is there before what it needs, and ends when its metric is good enough. */
async function awaited(stage: Stage): Promise<void> {
  const until = { metric: 'accuracy', atLeast: 0.8 }
  const waitsFor = (reason: string): Promise<void> =>
    stage.until(
      `waits for ${reason}`,
      () =>
        roundOf(stage)?.status?.conditions?.some(
          ({ type, message }) => type === 'Progressing' && message.includes(reason),
        ) ?? false,
    )
  await stage.direct.create(federatedRounds, roundManifest(stage, { rounds: 5, until }))
  await waitsFor('EdgeModel')
  await stage.direct.create(edgeModels, modelManifest(stage))
  await waitsFor('DeviceProfile')
  await stage.checkpoint('waiting')
  await stage.direct.create(deviceProfiles, profileManifest(stage))
  await trains(stage, 1)
  stage.hub.endRound(stage.namespace)
  await ends(stage, 'Completed')
  await stage.checkpoint('completed')
  await removeAll(stage)
}

/**
 * Two zones: the node of an edge controller is lost and another one takes over, whose pod fails; the controllers stay until the
 * agents of their zones have the campaign's version.
 */
async function zones(stage: Stage): Promise<void> {
  const placedOn = (place: string): object => ({
    type: 'Zones',
    zones: {
      controller: {
        nodeSelector: {
          matchExpressions: [{ key: 'place', operator: 'In', values: [place, stage.node(2)] }],
        },
      },
    },
  })
  const serve = (version: number): void => {
    const agents = stage.lane.nodes.map((node) =>
      AgentState.fromPartial({ node, version, digest: `sha256:${version}`, connected: true }),
    )
    stage.hub.report(stage.namespace, { agents })
  }
  const isPlaced = async (zone: string, epoch: number): Promise<void> => {
    const runs = (): boolean =>
      stage.world.running().some((pod) => placeOf(pod) === `Controller of ${zone}, epoch ${epoch}`)
    const isPlanned = (): boolean =>
      stage.hub
        .campaignOf(stage.namespace)
        .plan.tiers.some((tier) => tier.name === zone && tier.epoch === epoch)
    await stage.until(`zone ${zone} has a controller of epoch ${epoch}`, () => runs() && isPlanned())
  }
  await applyAll(stage, { rounds: 2, hierarchy: placedOn(stage.node(0)) })
  await trains(stage, 1, { pods: 5 })
  stage.hub.hear(stage.namespace)
  await stage.checkpoint('in zones')
  await edit(stage, federatedRounds, NAME, { hierarchy: placedOn(stage.node(1)) })
  stage.hub.hear(stage.namespace, { silent: ['east'] })
  await setReady(stage.direct, stage.node(0), 'False')
  await isPlaced('east', 2)
  stage.hub.hear(stage.namespace)
  await setReady(stage.direct, stage.node(0), 'True')
  await trains(stage, 1, { pods: 5 })
  await stage.checkpoint('taken over')
  await stage.world.fail('Controller of east, epoch 2')
  await isPlaced('east', 3)
  await trains(stage, 1, { pods: 5 })
  stage.hub.hear(stage.namespace)
  serve(1)
  stage.hub.endRound(stage.namespace)
  await trains(stage, 2, { pods: 5 })
  stage.hub.endRound(stage.namespace)
  await stage.until('the campaign is Completed', () => roundOf(stage)?.status?.phase === 'Completed')
  await stage.until('the controllers are left', () => stage.world.truth.pods.size === 2)
  serve(2)
  await ends(stage, 'Completed')
  await stage.checkpoint('completed')
  await removeAll(stage)
}

/** An EdgeModel is admitted, served, refused later, and deleted. */
async function model(stage: Stage): Promise<void> {
  const serving = { nodeSelector: { matchLabels: { tier: 'edge' } } }
  await stage.direct.create(edgeModels, modelManifest(stage, { serving }))
  const phaseIs = (phase: string): Promise<void> =>
    stage.until(`the model is ${phase}`, () => modelOf(stage)?.status?.phase === phase)
  await phaseIs('RollingOut')
  await stage.checkpoint('rolling out')
  const agents = stage.lane.nodes.map((node) =>
    AgentState.fromPartial({ node, version: 1, digest: 'sha256:1' }),
  )
  stage.hub.report(stage.namespace, { agents })
  await phaseIs('Ready')
  await stage.checkpoint('served')
  stage.hub.report(stage.namespace, { agents: agents.slice(1) })
  await setReady(stage.direct, stage.node(0), 'Unknown')
  await stage.until(
    'the node is named',
    () => modelOf(stage)?.status?.agents?.[0]?.reason === 'NodeUnreachable',
  )
  await setReady(stage.direct, stage.node(0), 'True')
  stage.hub.report(stage.namespace, { agents })
  await phaseIs('Ready')
  stage.hub.report(stage.namespace, {
    phase: ModelState_Phase.REFUSED,
    reason: 'Unsupported',
    message: 'an operator without a gradient',
  })
  await phaseIs('Refused')
  await stage.checkpoint('refused')
  await remove(stage, edgeModels, NAME)
  await stage.checkpoint('removed')
}

/** A DeviceProfile follows its nodes and its selector. */
async function profile(stage: Stage): Promise<void> {
  await stage.direct.create(deviceProfiles, profileManifest(stage))
  const shows = (matched: number, ready: number): Promise<void> =>
    stage.until(`${ready} of ${matched} nodes are Ready`, () => {
      const status = stage.world.truth.profiles.get({ namespace: stage.namespace, name: PROFILE })?.status
      return status?.matchedNodes === matched && status.readyNodes === ready
    })
  await shows(3, 3)
  await setReady(stage.direct, stage.node(2), 'False')
  await shows(3, 2)
  await stage.checkpoint('a node not ready')
  await setReady(stage.direct, stage.node(2), 'True')
  await shows(3, 3)
  await edit(stage, deviceProfiles, PROFILE, { nodeSelector: { matchLabels: { tier: 'none' } } })
  await shows(0, 0)
  await stage.checkpoint('no node')
  await edit(stage, deviceProfiles, PROFILE, { nodeSelector: { matchLabels: { tier: 'edge' } } })
  await shows(3, 3)
  await stage.checkpoint('all nodes')
  await remove(stage, deviceProfiles, PROFILE)
  await stage.checkpoint('removed')
}
