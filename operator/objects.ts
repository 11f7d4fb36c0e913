// What reconcilers see of Kubernetes objects: the fields in use and nothing else, so that caches stay small.
import type { z } from 'zod'
import type { DeviceProfileSpec, DeviceProfileStatus } from '#crds/device-profile.ts'
import type { EdgeModelSpec, EdgeModelStatus } from '#crds/edge-model.ts'
import type { FederatedRoundSpec, FederatedRoundStatus } from '#crds/federated-round.ts'

export interface ObjectIdentity {
  namespace: string
  name: string
  uid: string
  /** Precondition of a status write: a decision from an old sight is not written over a newer one. */
  resourceVersion: string
  generation: number
  createdAt: number
  deleting: boolean
  /** When it was deleted; undefined while it is not. */
  deletedAt?: number | undefined
  finalizers: string[]
}

export interface Observed<Spec, Status> extends ObjectIdentity {
  spec: Spec
  status: Status | undefined
}

export type FederatedRound = Observed<FederatedRoundSpec, z.output<typeof FederatedRoundStatus>>
export type EdgeModel = Observed<EdgeModelSpec, z.output<typeof EdgeModelStatus>>
export type DeviceProfile = Observed<DeviceProfileSpec, z.output<typeof DeviceProfileStatus>>

export interface NodeView {
  name: string
  labels: Readonly<Record<string, string>>
  /** Status of the node's Ready condition; Unknown when its kubelet has not been heard. */
  ready: 'True' | 'False' | 'Unknown'
  readySince: string
  unschedulable: boolean
}

export interface PodView {
  name: string
  uid: string
  node: string
  phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
  deleting: boolean
  /** Why a container is not running, empty when it is: ImagePullBackOff, CrashLoopBackOff, Unschedulable, … */
  reason: string
  message: string
}

export interface ControllerView extends PodView {
  zone: string
  epoch: number
}

export function isReady(node: NodeView): boolean {
  return node.ready === 'True' && !node.unschedulable
}
