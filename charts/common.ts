// What the objects of all components share: names, labels and the security settings of a pod.
import type { k8s } from 'cdk8s-plus-27'
import { TOKEN_AUDIENCE } from '#federation/wire/names.ts'
import { action, block, text } from './helm.ts'

export type Component = 'operator' | 'hub' | 'agent'

/** Names are fixed: pods find the hub by the variables that Kubernetes derives from its Service's name. */
export const nameOf = (component: Component): string => `tributary-${component}`

/** Objects that the operator makes at start-up, owned by its Deployment. */
export const MADE_BY_OPERATOR = {
  hubTls: 'tributary-hub-tls',
  signingKey: 'tributary-signing-key',
  trust: 'tributary-trust',
  lease: 'tributary-operator',
} as const

export const HUB_PORT = 8443
export const HEALTH_PORT = 8080

/** The user of the operator's and the hub's containers; the images carry the same. */
export const NON_ROOT_USER = 65532

export const TOKEN_FOLDER = '/var/run/secrets/tributary'

const INSTANCE = action('.Release.Name | quote')

export const selectorLabels = (component: Component): Record<string, string> => ({
  'app.kubernetes.io/name': 'tributary',
  'app.kubernetes.io/instance': INSTANCE,
  'app.kubernetes.io/component': component,
})

export const labels = (component: Component): Record<string, string> => ({
  ...selectorLabels(component),
  'app.kubernetes.io/version': action('.Chart.AppVersion | quote'),
  'app.kubernetes.io/managed-by': action('.Release.Service | quote'),
  'helm.sh/chart': action('printf "%s-%s" .Chart.Name .Chart.Version | quote'),
})

export const clusterMetadata = (component: Component): k8s.ObjectMeta => ({
  name: nameOf(component),
  labels: labels(component),
})

export const metadata = (component: Component): k8s.ObjectMeta => ({
  ...clusterMetadata(component),
  namespace: action('.Release.Namespace | quote'),
})

const TEMPLATE = '/spec/template'

/** The values that every component's pod takes. */
export const podValues = (component: Component): Record<string, unknown> => ({
  [`${TEMPLATE}/metadata/annotations`]: block(`${component}.podAnnotations`),
  [`${TEMPLATE}/spec/imagePullSecrets`]: block('imagePullSecrets'),
  [`${TEMPLATE}/spec/nodeSelector`]: block(`${component}.nodeSelector`),
  [`${TEMPLATE}/spec/tolerations`]: block(`${component}.tolerations`),
  [`${TEMPLATE}/spec/affinity`]: block(`${component}.affinity`),
  [`${TEMPLATE}/spec/containers/0/resources`]: block(`${component}.resources`),
})

export const imageOf = (image: 'operator' | 'edgeAgent'): { image: string; imagePullPolicy: string } => ({
  image: action(imageReference(image)),
  imagePullPolicy: action(`.Values.image.${image}.pullPolicy`),
})

export const imageReference = (image: 'operator' | 'edgeAgent'): string =>
  `include "tributary.image" (list .Values.image.${image} .Chart.AppVersion) | quote`

export const variable = (name: string, value: string): k8s.EnvVar => ({ name, value })

export const fromPod = (name: string, fieldPath: string): k8s.EnvVar => ({
  name,
  valueFrom: { fieldRef: { fieldPath } },
})

export const LOG_LEVEL: k8s.EnvVar = variable('TRIBUTARY_LOG_LEVEL', text('logLevel'))

/** With restrictedPod, what the `restricted` Pod Security level asks of a container. */
export const restrictedContainer: k8s.SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

export const restrictedPod: k8s.PodSecurityContext = {
  runAsNonRoot: true,
  runAsUser: NON_ROOT_USER,
  runAsGroup: NON_ROOT_USER,
  fsGroup: NON_ROOT_USER,
  // A volume of many blobs is not walked again at every start.
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
}

/** The token by which the hub knows the pod; the kubelet renews it. */
export const tokenVolume: k8s.Volume = {
  name: 'token',
  projected: {
    sources: [{ serviceAccountToken: { audience: TOKEN_AUDIENCE, expirationSeconds: 3600, path: 'token' } }],
  },
}

export const tokenMount: k8s.VolumeMount = { name: 'token', mountPath: TOKEN_FOLDER, readOnly: true }

export const TOKEN_FILE: k8s.EnvVar = variable('TRIBUTARY_TOKEN_FILE', `${TOKEN_FOLDER}/token`)
