// The built-in resources that Tributary reads or writes, with the fields that it uses and no others.

import { resourceType } from './types.ts'
import type { KubeObject } from './types.ts'

export interface Toleration {
  key?: string | undefined
  operator?: 'Exists' | 'Equal' | undefined
  value?: string | undefined
  effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute' | undefined
  tolerationSeconds?: number | undefined
}

export interface NodeCondition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string | undefined
  message?: string | undefined
  lastTransitionTime?: string | undefined
}

export interface Node extends KubeObject {
  spec?:
    | {
        unschedulable?: boolean | undefined
        taints?: { key: string; value?: string | undefined; effect: string }[] | undefined
      }
    | undefined
  status?:
    | {
        conditions?: NodeCondition[] | undefined
        allocatable?: Record<string, string> | undefined
        nodeInfo?: { architecture?: string | undefined; operatingSystem?: string | undefined } | undefined
      }
    | undefined
}

export interface EnvironmentVariable {
  name: string
  value?: string | undefined
  valueFrom?:
    | {
        fieldRef?: { fieldPath: string } | undefined
        secretKeyRef?: { name: string; key: string; optional?: boolean | undefined } | undefined
      }
    | undefined
}

export interface SecurityContext {
  allowPrivilegeEscalation?: boolean | undefined
  capabilities?: { drop?: string[] | undefined; add?: string[] | undefined } | undefined
  readOnlyRootFilesystem?: boolean | undefined
  runAsNonRoot?: boolean | undefined
  runAsUser?: number | undefined
  runAsGroup?: number | undefined
  seccompProfile?: { type: string } | undefined
}

export interface Container {
  name: string
  image: string
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never' | undefined
  command?: string[] | undefined
  args?: string[] | undefined
  env?: EnvironmentVariable[] | undefined
  resources?:
    { requests?: Record<string, string> | undefined; limits?: Record<string, string> | undefined } | undefined
  securityContext?: SecurityContext | undefined
  terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError' | undefined
  ports?: { name: string; containerPort: number; hostPort?: number | undefined }[] | undefined
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean | undefined }[] | undefined
}

export interface ProjectedSource {
  serviceAccountToken?:
    { audience?: string | undefined; expirationSeconds?: number | undefined; path: string } | undefined
  configMap?: { name: string; items?: { key: string; path: string }[] | undefined } | undefined
  secret?: { name: string; items?: { key: string; path: string }[] | undefined } | undefined
}

export interface Volume {
  name: string
  emptyDir?: { medium?: string | undefined; sizeLimit?: string | undefined } | undefined
  hostPath?: { path: string; type?: string | undefined } | undefined
  projected?: { sources: ProjectedSource[]; defaultMode?: number | undefined } | undefined
  secret?: { secretName: string } | undefined
}

export interface PodSpec {
  restartPolicy?: 'Always' | 'OnFailure' | 'Never' | undefined
  serviceAccountName?: string | undefined
  automountServiceAccountToken?: boolean | undefined
  dnsPolicy?: string | undefined
  imagePullSecrets?: { name: string }[] | undefined
  enableServiceLinks?: boolean | undefined
  hostNetwork?: boolean | undefined
  nodeName?: string | undefined
  nodeSelector?: Record<string, string> | undefined
  affinity?: object | undefined
  tolerations?: Toleration[] | undefined
  priorityClassName?: string | undefined
  terminationGracePeriodSeconds?: number | undefined
  activeDeadlineSeconds?: number | undefined
  securityContext?: (SecurityContext & { fsGroup?: number | undefined }) | undefined
  initContainers?: Container[] | undefined
  containers: Container[]
  volumes?: Volume[] | undefined
}

export interface ContainerState {
  waiting?: { reason?: string | undefined; message?: string | undefined } | undefined
  running?: { startedAt?: string | undefined } | undefined
  terminated?:
    | {
        exitCode: number
        reason?: string | undefined
        message?: string | undefined
        finishedAt?: string | undefined
      }
    | undefined
}

export interface ContainerStatus {
  name: string
  restartCount?: number | undefined
  ready?: boolean | undefined
  state?: ContainerState | undefined
  lastState?: ContainerState | undefined
}

export interface Pod extends KubeObject {
  spec?: PodSpec | undefined
  status?:
    | {
        phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown' | undefined
        reason?: string | undefined
        message?: string | undefined
        podIP?: string | undefined
        conditions?: NodeCondition[] | undefined
        initContainerStatuses?: ContainerStatus[] | undefined
        containerStatuses?: ContainerStatus[] | undefined
      }
    | undefined
}

export interface Secret extends KubeObject {
  type?: string | undefined
  data?: Record<string, string> | undefined
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string> | undefined
  /** Base64. */
  binaryData?: Record<string, string> | undefined
}

export interface Namespace extends KubeObject {
  status?: { phase?: string | undefined } | undefined
}

export interface Deployment extends KubeObject {
  spec?: { replicas?: number | undefined } | undefined
}

export interface Lease extends KubeObject {
  spec?:
    | {
        holderIdentity?: string | null | undefined
        leaseDurationSeconds?: number | null | undefined
        acquireTime?: string | null | undefined
        renewTime?: string | null | undefined
        leaseTransitions?: number | null | undefined
      }
    | undefined
}

export interface Event extends KubeObject {
  eventTime?: string | undefined
  reportingController?: string | undefined
  reportingInstance?: string | undefined
  action?: string | undefined
  reason?: string | undefined
  type?: string | undefined
  note?: string | undefined
  regarding?:
    | {
        apiVersion?: string | undefined
        kind?: string | undefined
        namespace?: string | undefined
        name?: string | undefined
        uid?: string | undefined
      }
    | undefined
  series?: { count: number; lastObservedTime: string } | undefined
}

const core = { apiVersion: 'v1' }

export const nodes = resourceType<Node>({ ...core, kind: 'Node', plural: 'nodes', namespaced: false })
export const pods = resourceType<Pod>({ ...core, kind: 'Pod', plural: 'pods', namespaced: true })
export const secrets = resourceType<Secret>({ ...core, kind: 'Secret', plural: 'secrets', namespaced: true })
export const configMaps = resourceType<ConfigMap>({
  ...core,
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
})
export const namespaces = resourceType<Namespace>({
  ...core,
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
})
export const deployments = resourceType<Deployment>({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
})
export const leases = resourceType<Lease>({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
})
export const events = resourceType<Event>({
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
})
