// Small builders for tables of decisions: every field has a sensible value, a test names only what it is about.
import { DeviceProfileSpec } from '#crds/device-profile.ts'
import { FederatedRoundSpec, type FederatedRoundStatus } from '#crds/federated-round.ts'
import { FINALIZER } from '#crds/names.ts'
import {
  CampaignState,
  ParticipantState,
  RoundState,
  RoundState_Phase as Phase,
} from '#federation/wire/generated/tributary.ts'
import type { Observation } from '#operator/federated-round/decision.ts'
import { podName } from '#operator/federated-round/participants.ts'
import { controllerName } from '#operator/federated-round/tiers.ts'
import type { ControllerView, DeviceProfile, FederatedRound, NodeView, PodView } from '#operator/objects.ts'

/** 2026-01-01T00:00:00Z, the moment at which the tables' campaigns are created. */
export const T0 = Date.UTC(2026, 0, 1)

export const SECOND = 1000

type Tier = NonNullable<FederatedRoundStatus['tiers']>[number]

export function aNode(name: string, changes: Partial<NodeView> = {}): NodeView {
  return {
    name,
    labels: { site: 'north' },
    ready: 'True',
    readySince: '2026-01-01T00:00:00Z',
    unschedulable: false,
    ...changes,
  }
}

export function aProfile(changes: Partial<DeviceProfile> = {}): DeviceProfile {
  return {
    ...identity('gateway', 'uid-profile'),
    spec: DeviceProfileSpec.parse({
      nodeSelector: { matchLabels: { site: 'north' } },
      datasets: [{ name: 'digits', hostPath: '/srv/digits/samples.csv', labelColumns: ['label'] }],
    }),
    status: undefined,
    ...changes,
  }
}

export function aRound(spec: object = {}, changes: Partial<FederatedRound> = {}): FederatedRound {
  return {
    ...identity('digits', 'uid-round'),
    finalizers: [FINALIZER],
    spec: FederatedRoundSpec.parse({
      modelRef: { name: 'digits' },
      dataset: 'digits',
      rounds: 3,
      participants: { profiles: ['gateway'] },
      completion: { minUpdates: 2, deadlineSeconds: 60 },
      training: { loss: { type: 'SoftmaxCrossEntropy' } },
      ...spec,
    }),
    status: undefined,
    ...changes,
  }
}

export function aPod(node: string, changes: Partial<PodView> = {}): PodView {
  return {
    name: podName({ name: 'digits', uid: 'uid-round' }, node),
    uid: `uid-${node}`,
    node,
    phase: 'Running',
    deleting: false,
    reason: '',
    message: '',
    ...changes,
  }
}

/** The pod of zone `north`'s controller in an epoch. */
export function aController(node: string, changes: Partial<ControllerView> = {}): ControllerView {
  const { zone = 'north', epoch = 1 } = changes
  const name = controllerName({ name: 'digits', uid: 'uid-round' }, zone, epoch)
  return { ...aPod(node), name, uid: `uid-${zone}-${epoch}`, zone, epoch, ...changes }
}

/** Status of a zone whose controller was seen. */
export function aTier(node: string, changes: Partial<Tier> = {}): Tier {
  const { zone = 'north', epoch = 1 } = changes
  const { name: pod, uid: podUid } = aController(node, { zone, epoch })
  const placedAt = '2025-12-31T00:00:00Z'
  return { zone, epoch, node, pod, podUid, placedAt, state: 'Connected', received: 0, wanted: 1, ...changes }
}

export function aRoundState(changes: Partial<RoundState> = {}): RoundState {
  return RoundState.fromPartial({
    round: 1,
    attempt: 1,
    phase: Phase.COLLECTING,
    wanted: 3,
    minimumUpdates: 2,
    participants: ['a', 'b', 'c'],
    openedUnixMs: T0,
    deadlineUnixMs: T0 + 60 * SECOND,
    ...changes,
  })
}

export function aParticipant(node: string, changes: Partial<ParticipantState> = {}): ParticipantState {
  return ParticipantState.fromPartial({ node, connected: true, round: 1, ...changes })
}

export function aCampaign(changes: Partial<CampaignState> = {}): Observation['campaign'] {
  return { kind: 'known', state: CampaignState.fromPartial({ uid: 'uid-round', known: true, ...changes }) }
}

/** Three Ready nodes a, b, c; an admitted model; a hub that knows nothing of the campaign yet. */
export function aSight(changes: Partial<Observation> = {}): Observation {
  return {
    now: T0 + 10 * SECOND,
    round: aRound(),
    model: { uid: 'uid-model', admitted: 'Yes', message: '', agents: [] },
    profiles: [aProfile()],
    missingProfiles: [],
    nodes: ['a', 'b', 'c'].map((name) => aNode(name)),
    pods: [],
    controllers: [],
    campaign: aCampaign({ known: false }),
    ...changes,
  }
}

function identity(name: string, uid: string) {
  return {
    namespace: 'city',
    name,
    uid,
    resourceVersion: '1',
    generation: 1,
    createdAt: T0,
    deleting: false,
    finalizers: [] as string[],
  }
}
