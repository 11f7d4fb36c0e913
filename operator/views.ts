// From Kubernetes objects to the small views that decisions read, pure.
import { LABELS } from '#crds/names.ts'
import type { ContainerStatus, Node, Pod } from './kube/resources.ts'
import type { ControllerView, NodeView, Observed, PodView } from './objects.ts'
import type { CustomResource } from './resources.ts'

export function observedOf<Spec, Status>(resource: CustomResource<Spec, Status>): Observed<Spec, Status> {
  const { metadata, spec, status } = resource
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    generation: metadata.generation ?? 0,
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    deleting: metadata.deletionTimestamp !== undefined,
    ...(metadata.deletionTimestamp !== undefined && { deletedAt: Date.parse(metadata.deletionTimestamp) }),
    finalizers: metadata.finalizers ?? [],
    spec,
    status,
  }
}

export function nodeView(node: Node): NodeView {
  const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready')
  return {
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    ready: ready?.status ?? 'Unknown',
    readySince: ready?.lastTransitionTime ?? '',
    unschedulable: node.spec?.unschedulable ?? false,
  }
}

/** What stays of a Node in memory: a heartbeat changes nothing of it but the resourceVersion. */
export function smallNode(node: Node): Node {
  const ready = node.status?.conditions?.filter((condition) => condition.type === 'Ready')
  const { name, uid, resourceVersion, labels } = node.metadata
  return {
    apiVersion: node.apiVersion,
    kind: node.kind,
    metadata: { name, uid, resourceVersion, labels },
    spec: { unschedulable: node.spec?.unschedulable },
    status: {
      conditions: ready?.map(({ type, status, lastTransitionTime }) => ({
        type,
        status,
        lastTransitionTime,
      })),
    },
  }
}

export function sameNode(a: Node, b: Node): boolean {
  return JSON.stringify(nodeView(a)) === JSON.stringify(nodeView(b))
}

/** What stays of a pod in memory. */
export function smallPod(pod: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels, deletionTimestamp, ownerReferences } = pod.metadata
  return {
    apiVersion: pod.apiVersion,
    kind: pod.kind,
    metadata: { name, namespace, uid, resourceVersion, labels, deletionTimestamp, ownerReferences },
    spec: { containers: [], nodeName: pod.spec?.nodeName, affinity: pod.spec?.affinity },
    status: pod.status,
  }
}

export function podView(pod: Pod): PodView {
  const trouble = containerTrouble(pod) ?? schedulingTrouble(pod)
  return {
    name: pod.metadata.name,
    uid: pod.metadata.uid ?? '',
    node: intendedNode(pod),
    phase: pod.status?.phase ?? 'Pending',
    deleting: pod.metadata.deletionTimestamp !== undefined,
    reason: trouble?.reason ?? pod.status?.reason ?? '',
    message: trouble?.message ?? pod.status?.message ?? '',
  }
}

/** The pod of an edge controller: whose it is stands in its labels, which nobody changes. */
export function controllerView(pod: Pod): ControllerView {
  const labels = pod.metadata.labels ?? {}
  return { ...podView(pod), zone: labels[LABELS.zone] ?? '', epoch: Number(labels[LABELS.epoch] ?? 0) }
}

interface Trouble {
  reason: string
  message: string
}

/** The way of all pods, not a trouble. */
const STARTING = new Set(['ContainerCreating', 'PodInitializing'])

/** Of the container that stands in the way: one that prepares the pod comes first. */
function containerTrouble({ status }: Pod): Trouble | undefined {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  return all.map(troubleOf).find((trouble) => trouble !== undefined)
}

/** A container that failed is in trouble from that moment on, not only once it is waited with its next start. */
function troubleOf(status: ContainerStatus): Trouble | undefined {
  const { waiting, terminated } = status.state ?? {}
  if (terminated && terminated.exitCode !== 0) {
    const { reason = 'Error', message = '', exitCode } = terminated
    return { reason, message: message === '' ? `exit code ${exitCode}` : message }
  }
  if (!waiting?.reason || STARTING.has(waiting.reason)) return undefined
  const ended = status.lastState?.terminated?.message ?? ''
  return {
    reason: waiting.reason,
    message: [waiting.message ?? '', ended].filter((part) => part !== '').join(' — '),
  }
}

function schedulingTrouble(pod: Pod): Trouble | undefined {
  const scheduled = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled')
  if (scheduled?.status !== 'False') return undefined
  return { reason: scheduled.reason ?? 'Unschedulable', message: scheduled.message ?? '' }
}

/** The node that the pod was made for, also before the scheduler has bound it. */
function intendedNode(pod: Pod): string {
  if (pod.spec?.nodeName) return pod.spec.nodeName
  const affinity = pod.spec?.affinity as NodeNameAffinity | undefined
  return (
    affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms?.[0]
      ?.matchFields?.[0]?.values?.[0] ?? ''
  )
}

interface NodeNameAffinity {
  nodeAffinity?: {
    requiredDuringSchedulingIgnoredDuringExecution?: {
      nodeSelectorTerms?: { matchFields?: { values?: string[] }[] }[]
    }
  }
}
