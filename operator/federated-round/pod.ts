// The manifest of a training pod. It meets the `restricted` Pod Security level but for two things: hostPaths, because the data
// lie on the node and must not leave it (mounted read-only) and what the node keeps must outlive the pod; and a first container
// that makes the latter's folder, as root (docs/threat-model.md).
import { API_VERSION, COMPONENTS, LABELS } from '#crds/names.ts'
import { TOKEN_AUDIENCE } from '#federation/wire/names.ts'
import type { FederatedRound } from '#operator/objects.ts'
import type { Container, EnvironmentVariable, Pod, Toleration, Volume } from '#operator/kube/resources.ts'
import type { Applied } from '#operator/kube/types.ts'
import type { TrainingPod } from './decision.ts'

export interface PodSettings {
  image: string
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never'
  /** host:port under which edge nodes reach the hub. */
  hubAddress: string
  /** PEM of the CA that signed the hub's certificate. */
  hubCertificateAuthority: string
  /** Folder on edge nodes that holds a folder for each campaign, which outlives the campaign's pods there. */
  campaignsFolder: string
}

const WORK_FOLDER = '/work'
const DATA_FOLDER = '/data'
const CAMPAIGNS_FOLDER = '/campaigns'
/** User and group that the image runs as. */
const USER = 65532
export const TOKEN_FOLDER = '/var/run/secrets/tributary'

/** Of pods whose work needs no right at all; their first container has its own. */
export const podSecurity = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  fsGroup: USER,
  seccompProfile: { type: 'RuntimeDefault' },
}

export const containerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

export function trainingPod(round: FederatedRound, pod: TrainingPod, settings: PodSettings): Applied<Pod> {
  const { hostPath } = pod.dataset
  const { tolerations, imagePullSecrets, priorityClassName } = round.spec.template
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadataOf(round, pod.name, COMPONENTS.training),
    spec: {
      restartPolicy: 'OnFailure',
      serviceAccountName: 'default',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      dnsPolicy: 'Default',
      terminationGracePeriodSeconds: 10,
      affinity: onlyOn(pod.node),
      tolerations: [...tolerations, ...stay(round.spec.maxOfflineSeconds)],
      ...(imagePullSecrets ? { imagePullSecrets } : {}),
      ...(priorityClassName === undefined ? {} : { priorityClassName }),
      securityContext: podSecurity,
      initContainers: [preparation(round, settings)],
      containers: [container(round, environment(round, pod, settings), settings)],
      volumes: volumes(round, hostPath.slice(0, hostPath.lastIndexOf('/')) || '/', settings),
    },
  }
}

export function metadataOf(round: FederatedRound, name: string, component: string): Pod['metadata'] {
  const owner = { apiVersion: API_VERSION, kind: 'FederatedRound', name: round.name, uid: round.uid }
  return {
    name,
    namespace: round.namespace,
    labels: {
      [LABELS.managedBy]: 'tributary',
      [LABELS.component]: component,
      [LABELS.federatedRound]: round.uid,
    },
    ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: false }],
  }
}

function container(round: FederatedRound, env: EnvironmentVariable[], settings: PodSettings): Container {
  return {
    name: 'train',
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    args: ['train'],
    env,
    resources: round.spec.template.resources,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: containerSecurity,
    volumeMounts: [
      { name: 'token', mountPath: TOKEN_FOLDER, readOnly: true },
      { name: 'data', mountPath: DATA_FOLDER, readOnly: true },
      { name: 'work', mountPath: WORK_FOLDER },
    ],
  }
}

/**
 * Gives the campaign's folder to the user that trains: the kubelet makes it for root. Root with two capabilities, one to change the
 * owner and one to remove what other campaigns left; it sees nothing but the campaigns' folders, reads no data and has no token.
 */
export function preparation(round: FederatedRound, settings: PodSettings): Container {
  return {
    name: 'prepare-folder',
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    args: ['prepare-folder', `--owner=${USER}`],
    env: [{ name: 'TRIBUTARY_CAMPAIGN', value: round.uid }],
    resources: round.spec.template.resources,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['CHOWN', 'DAC_OVERRIDE'] },
    },
    volumeMounts: [{ name: 'campaigns', mountPath: CAMPAIGNS_FOLDER }],
  }
}

/** The token that the hub knows a pod by. */
export function tokenVolume({ spec }: FederatedRound): Volume {
  const expirationSeconds = tokenSeconds(spec.maxOfflineSeconds)
  const token = { audience: TOKEN_AUDIENCE, expirationSeconds, path: 'token' }
  return { name: 'token', projected: { sources: [{ serviceAccountToken: token }] } }
}

function volumes(round: FederatedRound, dataFolder: string, { campaignsFolder }: PodSettings): Volume[] {
  return [
    tokenVolume(round),
    // DirectoryOrCreate: where the folder is missing, the pod starts and says so (DatasetUnreadable) instead of hanging in ContainerCreating.
    { name: 'data', hostPath: { path: dataFolder, type: 'DirectoryOrCreate' } },
    { name: 'campaigns', hostPath: { path: campaignsFolder, type: 'DirectoryOrCreate' } },
    { name: 'work', hostPath: { path: `${campaignsFolder}/${round.uid}`, type: 'DirectoryOrCreate' } },
  ]
}

/** An unreachable node is not a failed one: its pod is awaited for so long; for ever when nobody says how long. */
export const stay = (tolerationSeconds?: number): Toleration[] =>
  ['node.kubernetes.io/unreachable', 'node.kubernetes.io/not-ready'].map((key) => ({
    key,
    operator: 'Exists',
    effect: 'NoExecute',
    ...(tolerationSeconds !== undefined && { tolerationSeconds }),
  }))

/**
 * The kubelet renews a token when a fifth of its life is left, or after a day. Whenever the API server goes out of its reach, the
 * token is then good for as long as a node may be offline.
 */
function tokenSeconds(maxOfflineSeconds: number): number {
  return Math.max(3600, Math.min(5 * maxOfflineSeconds, maxOfflineSeconds + 86_400))
}

export function onlyOn(node: string): object {
  return {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }],
      },
    },
  }
}

function environment(
  round: FederatedRound,
  { dataset: { hostPath, labelColumns }, bytesPerSecond }: TrainingPod,
  settings: PodSettings,
): EnvironmentVariable[] {
  const dataset = { labelColumns, path: `${DATA_FOLDER}/${hostPath.slice(hostPath.lastIndexOf('/') + 1)}` }
  return [
    ...hubEnvironment(round, settings),
    { name: 'TRIBUTARY_DATASET', value: JSON.stringify(dataset) },
    ...rateEnvironment(bytesPerSecond),
  ]
}

/** What transfers may take of the node's link. */
export function rateEnvironment(bytesPerSecond: number | undefined): EnvironmentVariable[] {
  if (bytesPerSecond === undefined) return []
  return [{ name: 'TRIBUTARY_BYTES_PER_SECOND', value: String(bytesPerSecond) }]
}

/** Where the hub is, and who asks. */
export function hubEnvironment(round: FederatedRound, settings: PodSettings): EnvironmentVariable[] {
  return [
    { name: 'TRIBUTARY_HUB_ADDRESS', value: settings.hubAddress },
    { name: 'TRIBUTARY_HUB_CA', value: settings.hubCertificateAuthority },
    { name: 'TRIBUTARY_CAMPAIGN', value: round.uid },
    { name: 'TRIBUTARY_NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
  ]
}
