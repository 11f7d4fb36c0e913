// The three kinds as the Kubernetes layer sees them: specs and statuses arrive as the API server validated them.
import type { DeviceProfileSpec, DeviceProfileStatus } from '#crds/device-profile.ts'
import type { EdgeModelSpec, EdgeModelStatus } from '#crds/edge-model.ts'
import type { FederatedRoundSpec, FederatedRoundStatus } from '#crds/federated-round.ts'
import { API_VERSION } from '#crds/names.ts'
import { resourceType } from './kube/types.ts'
import type { KubeObject, ResourceType } from './kube/types.ts'

export interface CustomResource<Spec, Status> extends KubeObject {
  spec: Spec
  status?: Status | undefined
}

export type FederatedRoundResource = CustomResource<FederatedRoundSpec, FederatedRoundStatus>
export type EdgeModelResource = CustomResource<EdgeModelSpec, EdgeModelStatus>
export type DeviceProfileResource = CustomResource<DeviceProfileSpec, DeviceProfileStatus>

export const federatedRounds = kind<FederatedRoundResource>('FederatedRound', 'federatedrounds')
export const edgeModels = kind<EdgeModelResource>('EdgeModel', 'edgemodels')
export const deviceProfiles = kind<DeviceProfileResource>('DeviceProfile', 'deviceprofiles')

function kind<T extends KubeObject>(name: string, plural: string): ResourceType<T> {
  return resourceType<T>({ apiVersion: API_VERSION, kind: name, plural, namespaced: true })
}
