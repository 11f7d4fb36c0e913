// The chart's values: one shape for values.yaml (defaults and comments), values.schema.json and the paths that
// templates may read. Unknown values are refused, so nothing is accepted and ignored.
import { z } from 'zod'
import { ResourceRequirements, Toleration } from '#crds/kubernetes.ts'

const ABSOLUTE_PATH = /^(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/

const Annotations = z.record(z.string(), z.string())
const NodeLabels = z.record(z.string(), z.string())

const image = (repository: string, what: string) =>
  z
    .strictObject({
      repository: z.string().min(1).default(repository).describe('Repository, with the registry in front.'),
      tag: z.string().max(128).default('').describe("Tag. Empty: the chart's appVersion."),
      digest: z
        .string()
        .regex(/^$|^sha256:[0-9a-f]{64}$/)
        .default('')
        .describe('Digest, sha256:HEX. When given it decides, not the tag.'),
      pullPolicy: z
        .enum(['Always', 'IfNotPresent', 'Never'])
        .default('IfNotPresent')
        .describe('When nodes pull the image.'),
    })
    .prefault({})
    .describe(what)

/** Every process except the agent needs the API server or the edge's way in, which edge nodes do not offer. */
const NOT_ON_EDGE_NODES = {
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [
        { matchExpressions: [{ key: 'node-role.kubernetes.io/edge', operator: 'DoesNotExist' }] },
      ],
    },
  },
}

interface PodDefaults {
  nodeSelector: Record<string, string>
  tolerations: z.infer<typeof Toleration>[]
  affinity: Record<string, unknown>
  resources: z.infer<typeof ResourceRequirements>
}

const cloud: Omit<PodDefaults, 'resources'> = {
  nodeSelector: {},
  tolerations: [],
  affinity: NOT_ON_EDGE_NODES,
}

const edge: Omit<PodDefaults, 'resources'> = {
  nodeSelector: { 'node-role.kubernetes.io/edge': '' },
  tolerations: [{ key: 'node-role.kubernetes.io/edge', operator: 'Exists' }],
  affinity: {},
}

/** What every component's pod can be given. */
const pod = (defaults: PodDefaults) => ({
  resources: ResourceRequirements.default(defaults.resources).describe('Resources of the container.'),
  nodeSelector: NodeLabels.default(defaults.nodeSelector).describe('Labels of the nodes it may run on.'),
  tolerations: z.array(Toleration).default(defaults.tolerations).describe('Taints that it tolerates.'),
  affinity: z
    .record(z.string(), z.unknown())
    .default(defaults.affinity)
    .describe('Affinity of the pod, as in a pod manifest.'),
  podAnnotations: Annotations.default({}).describe('Annotations of the pod.'),
  serviceAccount: z
    .strictObject({ annotations: Annotations.default({}).describe('Annotations of the service account.') })
    .prefault({})
    .describe('The service account that the chart makes.'),
})

const Operator = z
  .strictObject({
    replicas: z
      .int()
      .min(1)
      .max(5)
      .default(1)
      .describe('Operators; one is the leader, the others wait to take over.'),
    ...pod({
      ...cloud,
      resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    }),
  })
  .prefault({})
  .describe('The operator: turns manifests into training pods, round plans and statuses.')

const HubService = z
  .strictObject({
    type: z
      .enum(['NodePort', 'LoadBalancer', 'ClusterIP'])
      .default('NodePort')
      .describe('How the hub is reached from the edge. ClusterIP: by means of your own.'),
    nodePort: z
      .int()
      .min(1)
      .max(65535)
      .default(30843)
      .describe("Port on every node, for type NodePort; within the cluster's NodePort range."),
    annotations: Annotations.default({}).describe(
      'Annotations of the Service, for example for a load balancer.',
    ),
  })
  .prefault({})
  .describe('The Service tributary-hub, port 8443.')

const Persistence = z
  .strictObject({
    type: z
      .enum(['PersistentVolumeClaim', 'HostPath', 'EmptyDir'])
      .default('PersistentVolumeClaim')
      .describe(
        'Where accepted updates, merged models and published versions are kept. EmptyDir: lost when the pod is deleted or moves, for trials only. HostPath: pin the hub to one node with hub.nodeSelector.',
      ),
    size: z
      .string()
      .regex(/^[1-9][0-9]*(Mi|Gi|Ti)$/)
      .default('10Gi')
      .describe('Size of the PersistentVolumeClaim, and limit of the EmptyDir.'),
    storageClassName: z
      .string()
      .default('')
      .describe("Storage class of the PersistentVolumeClaim. Empty: the cluster's default."),
    hostPath: z
      .string()
      .regex(ABSOLUTE_PATH)
      .default('/var/lib/tributary-hub')
      .describe('Folder of type HostPath: must exist on the node and belong to user 65532.'),
    keep: z
      .boolean()
      .default(true)
      .describe('True: the PersistentVolumeClaim is left in place when the chart is uninstalled.'),
  })
  .prefault({})
  .describe("The hub's volume.")

const Hub = z
  .strictObject({
    address: z
      .string()
      .max(300)
      .default('')
      .describe(
        'Required. host:port at which edge nodes reach the Service tributary-hub, for example 203.0.113.10:30843. The only address that an edge node is given.',
      ),
    service: HubService,
    persistence: Persistence,
    ...pod({
      ...cloud,
      resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
    }),
  })
  .prefault({})
  .describe('The hub: takes updates, merges them, keeps and hands out model versions.')

const Agent = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe('False: no agents, so models are trained and published but served nowhere.'),
    hostNetwork: z
      .boolean()
      .default(true)
      .describe("True: agents serve on the node's own addresses. False: on the pod's address only."),
    port: z
      .int()
      .min(1)
      .max(65535)
      .default(8000)
      .describe('Port of the Open Inference Protocol on the node.'),
    storePath: z
      .string()
      .regex(ABSOLUTE_PATH)
      .default('/var/lib/tributary')
      .describe('Folder on the node for the model store; made when absent, kept on uninstall.'),
    maxUnavailable: z
      .union([z.int().min(1), z.string().regex(/^[1-9][0-9]*%$/)])
      .default('50%')
      .describe(
        'Agents that may be away at once while the DaemonSet is updated, unreachable nodes included.',
      ),
    ...pod({
      ...edge,
      resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    }),
  })
  .prefault({})
  .describe('The agents: one on every edge node, loads published versions and answers predictions.')

const Training = z
  .strictObject({
    storePath: z
      .string()
      .regex(ABSOLUTE_PATH)
      .default('/var/lib/tributary-campaigns')
      .describe(
        'Folder on edge nodes that holds a folder for each campaign: finished updates and what a strategy keeps on the node. Made when absent, kept on uninstall. Must not lie within agent.storePath.',
      ),
  })
  .prefault({})
  .describe('The training pods, which the operator makes in the namespaces of FederatedRounds.')

export const Values = z.strictObject({
  image: z
    .strictObject({
      operator: image('tributary/operator', 'Image of operator and hub.'),
      edgeAgent: image('tributary/edge-agent', 'Image of agents and training pods.'),
    })
    .prefault({})
    .describe('Container images.'),
  imagePullSecrets: z
    .array(z.strictObject({ name: z.string().min(1).describe('Name of the Secret.') }))
    .default([])
    .describe(
      'Secrets in the namespace of installation to pull the images with. Training pods take theirs from the FederatedRound (spec.template.imagePullSecrets).',
    ),
  logLevel: z
    .enum(['trace', 'debug', 'info', 'warn', 'error'])
    .default('info')
    .describe('Log level of operator and hub.'),
  operator: Operator,
  hub: Hub,
  agent: Agent,
  training: Training,
  crds: z
    .strictObject({
      install: z.boolean().default(true).describe('True: the chart installs and upgrades the CRDs.'),
      keep: z
        .boolean()
        .default(true)
        .describe('True: `helm uninstall` leaves the CRDs, and with them every manifest, in place.'),
    })
    .prefault({})
    .describe('The CustomResourceDefinitions.'),
  global: z
    .looseObject({})
    .default({})
    .describe(
      "Helm's own place for values shared between charts, when this one is a dependency; nothing here is read.",
    ),
})
export type Values = z.output<typeof Values>

type Leaf = string | number | boolean | unknown[]
type PathOf<T> = {
  [K in keyof T & string]: T[K] extends Leaf
    ? K
    : K | (string extends keyof T[K] ? never : `${K}.${PathOf<T[K]>}`)
}[keyof T & string]

/** Path of a value as templates write it, for example `hub.service.type`. */
export type ValuePath = PathOf<Values>
