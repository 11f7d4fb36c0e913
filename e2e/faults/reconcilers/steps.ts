// Steps that scenarios have in common, and their manifests.
import type { FederatedRoundSpec } from '#crds/federated-round.ts'
import { API_VERSION } from '#crds/names.ts'
import { RoundState_Phase } from '#federation/wire/generated/tributary.ts'
import type { Applied, KubeObject, ResourceType } from '#operator/kube/types.ts'
import { deviceProfiles, edgeModels, federatedRounds } from '#operator/resources.ts'
import type { DeviceProfileResource, EdgeModelResource, FederatedRoundResource } from '#operator/resources.ts'

import type { Stage } from './stage.ts'

export const NAME = 'digits'
export const PROFILE = 'gateway'

export async function applyAll(stage: Stage, spec: object): Promise<void> {
  await stage.direct.create(deviceProfiles, profileManifest(stage))
  await stage.direct.create(edgeModels, modelManifest(stage))
  await stage.direct.create(federatedRounds, roundManifest(stage, spec))
}

export interface Attempt {
  attempt?: number
  /** Training pods, and edge controllers where there are any. */
  pods?: number
}

/** The round is open at the hub, and all pods run. */
export async function trains(
  stage: Stage,
  round: number,
  { attempt = 1, pods = 3 }: Attempt = {},
): Promise<void> {
  const isOpen = (): boolean =>
    [...stage.hub.campaigns.values()].some(
      ({ plan, state: { current } }) =>
        plan.uid === roundOf(stage)?.metadata.uid &&
        current?.round === round &&
        current.attempt === attempt &&
        current.phase === RoundState_Phase.COLLECTING,
    )
  await stage.until(`round ${round}.${attempt} is open and ${pods} pods run`, () => {
    return isOpen() && stage.world.running().length === pods && stage.world.truth.pods.size === pods
  })
}

export async function ends(stage: Stage, phase: string): Promise<void> {
  await stage.until(`the campaign is ${phase}`, () => roundOf(stage)?.status?.phase === phase)
  await stage.until('no pod is left', () => stage.world.truth.pods.size === 0)
}

export async function removeAll(stage: Stage): Promise<void> {
  await remove(stage, federatedRounds, NAME)
  await remove(stage, edgeModels, NAME)
  await remove(stage, deviceProfiles, PROFILE)
  await stage.checkpoint('removed')
}

export async function remove(stage: Stage, type: ResourceType<KubeObject>, name: string): Promise<void> {
  const caches = { FederatedRound: 'rounds', EdgeModel: 'models', DeviceProfile: 'profiles' } as const
  await stage.direct.delete(type, { namespace: stage.namespace, name })
  const cache = stage.world.truth[caches[type.kind as keyof typeof caches]]
  await stage.until(`${type.kind} ${name} is gone`, () => cache.size === 0)
}

export async function edit(
  stage: Stage,
  type: ResourceType<KubeObject>,
  name: string,
  spec: object,
): Promise<void> {
  await stage.direct.mergePatch(type, { namespace: stage.namespace, name }, { spec })
}

export const roundOf = ({ world, namespace }: Stage): FederatedRoundResource | undefined =>
  world.truth.rounds.get({ namespace, name: NAME })
export const modelOf = ({ world, namespace }: Stage): EdgeModelResource | undefined =>
  world.truth.models.get({ namespace, name: NAME })

export function profileManifest({ namespace }: Stage): Applied<DeviceProfileResource> {
  const datasets = [{ name: NAME, hostPath: '/srv/digits/samples.csv', labelColumns: ['label'] }]
  const spec = { nodeSelector: { matchLabels: { tier: 'edge' } }, datasets }
  return { apiVersion: API_VERSION, kind: 'DeviceProfile', metadata: { name: PROFILE, namespace }, spec }
}

export function modelManifest({ namespace }: Stage, more: object = {}): Applied<EdgeModelResource> {
  const spec = { source: { storageUri: 'configmap://digits/model.onnx' }, ...more }
  return { apiVersion: API_VERSION, kind: 'EdgeModel', metadata: { name: NAME, namespace }, spec }
}

export function roundManifest({ namespace }: Stage, more: object): Applied<FederatedRoundResource> {
  const spec = {
    ...{ modelRef: { name: NAME }, dataset: NAME, rounds: 1, participants: { profiles: [PROFILE] } },
    ...{ completion: { minUpdates: 2 }, training: { loss: { type: 'SoftmaxCrossEntropy' } }, ...more },
  } as unknown as FederatedRoundSpec
  return { apiVersion: API_VERSION, kind: 'FederatedRound', metadata: { name: NAME, namespace }, spec }
}
