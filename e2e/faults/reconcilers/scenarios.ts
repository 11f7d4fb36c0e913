// What happens in a plan's namespace beside the fault: manifests come and go, the hub and the kubelet do their part.
// Each step waits for what it needs to be true in the world, never for a time.
import type { FederatedRoundSpec } from '#crds/federated-round.ts'
import { API_VERSION } from '#crds/names.ts'
import { ModelState_Phase, RoundState_Phase } from '#federation/wire/generated/tributary.ts'
import { AgentState } from '#federation/wire/generated/tributary.ts'
import type { KubeObject, ResourceType } from '#operator/kube/types.ts'
import { deviceProfiles, edgeModels, federatedRounds } from '#operator/resources.ts'
import { setReady } from './laboratory.ts'
import type { Stage } from './stage.ts'

export interface Scenario {
  name: string
  play: (stage: Stage) => Promise<void>
}

const NAME = 'digits'
const PROFILE = 'gateway'

export const SCENARIOS: readonly Scenario[] = [
  { name: 'campaign', play: campaign },
  { name: 'short', play: short },
  { name: 'suspended', play: suspended },
  { name: 'repaired', play: repaired },
  { name: 'replaced', play: replaced },
  { name: 'narrowed', play: narrowed },
  { name: 'awaited', play: awaited },
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
  await stage.world.fail(failing)
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
  await trains(stage, 2, { nodes: 2 })
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

async function applyAll(stage: Stage, spec: object): Promise<void> {
  await stage.direct.create(deviceProfiles, profileManifest(stage))
  await stage.direct.create(edgeModels, modelManifest(stage))
  await stage.direct.create(federatedRounds, roundManifest(stage, spec))
}

/** The round is open at the hub, and a pod runs on each node. */
async function trains(
  stage: Stage,
  round: number,
  { attempt = 1, nodes = 3 }: { attempt?: number; nodes?: number } = {},
): Promise<void> {
  const isOpen = (): boolean =>
    [...stage.hub.campaigns.values()].some(
      ({ plan, state: { current } }) =>
        plan.uid === roundOf(stage)?.metadata.uid &&
        current?.round === round &&
        current.attempt === attempt &&
        current.phase === RoundState_Phase.COLLECTING,
    )
  await stage.until(`round ${round}.${attempt} is open and ${nodes} pods run`, () => {
    return isOpen() && stage.world.running().length === nodes && stage.world.truth.pods.size === nodes
  })
}

async function ends(stage: Stage, phase: string): Promise<void> {
  await stage.until(`the campaign is ${phase}`, () => roundOf(stage)?.status?.phase === phase)
  await stage.until('no pod is left', () => stage.world.truth.pods.size === 0)
}

async function removeAll(stage: Stage): Promise<void> {
  await remove(stage, federatedRounds, NAME)
  await remove(stage, edgeModels, NAME)
  await remove(stage, deviceProfiles, PROFILE)
  await stage.checkpoint('removed')
}

async function remove(stage: Stage, type: ResourceType<KubeObject>, name: string): Promise<void> {
  const caches = { FederatedRound: 'rounds', EdgeModel: 'models', DeviceProfile: 'profiles' } as const
  await stage.direct.delete(type, { namespace: stage.namespace, name })
  const cache = stage.world.truth[caches[type.kind as keyof typeof caches]]
  await stage.until(`${type.kind} ${name} is gone`, () => cache.size === 0)
}

async function edit(stage: Stage, type: ResourceType<KubeObject>, name: string, spec: object): Promise<void> {
  await stage.direct.mergePatch(type, { namespace: stage.namespace, name }, { spec })
}

const roundOf = ({ world, namespace }: Stage) => world.truth.rounds.get({ namespace, name: NAME })
const modelOf = ({ world, namespace }: Stage) => world.truth.models.get({ namespace, name: NAME })

function profileManifest({ namespace }: Stage) {
  const datasets = [{ name: NAME, hostPath: '/srv/digits/samples.csv', labelColumns: ['label'] }]
  const spec = { nodeSelector: { matchLabels: { tier: 'edge' } }, datasets }
  return { apiVersion: API_VERSION, kind: 'DeviceProfile', metadata: { name: PROFILE, namespace }, spec }
}

function modelManifest({ namespace }: Stage, more: object = {}) {
  const spec = { source: { storageUri: 'configmap://digits/model.onnx' }, ...more }
  return { apiVersion: API_VERSION, kind: 'EdgeModel', metadata: { name: NAME, namespace }, spec }
}

function roundManifest({ namespace }: Stage, more: object) {
  const spec = {
    ...{ modelRef: { name: NAME }, dataset: NAME, rounds: 1, participants: { profiles: [PROFILE] } },
    ...{ completion: { minUpdates: 2 }, training: { loss: { type: 'SoftmaxCrossEntropy' } }, ...more },
  } as unknown as FederatedRoundSpec
  return { apiVersion: API_VERSION, kind: 'FederatedRound', metadata: { name: NAME, namespace }, spec }
}
