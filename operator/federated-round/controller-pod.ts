// The manifest of an edge controller's pod. It is in the node's network, because training pods and agents of the zone reach
// it by the node's address, and keeps what it accepted in a folder of the node, which a first container makes as for a
// training pod (docs/threat-model.md).
import { zonesOf } from '#crds/hierarchy.ts'
import { COMPONENTS, LABELS } from '#crds/names.ts'
import type { Container, EnvironmentVariable, Pod, Volume } from '#operator/kube/resources.ts'
import type { Applied } from '#operator/kube/types.ts'
import type { FederatedRound } from '#operator/objects.ts'
import type { ControllerPod } from './decision.ts'
import {
  containerSecurity,
  hubEnvironment,
  metadataOf,
  onlyOn,
  podSecurity,
  preparation,
  rateEnvironment,
  stay,
  TOKEN_FOLDER,
  tokenVolume,
} from './pod.ts'
import type { PodSettings } from './pod.ts'

const STATE_FOLDER = '/var/lib/tributary'

export function controllerPod(
  round: FederatedRound,
  pod: ControllerPod,
  settings: PodSettings,
): Applied<Pod> {
  const controller = zonesOf(round.spec.hierarchy)?.controller
  if (!controller) throw new Error(`FederatedRound ${round.name} is flat: it has no edge controllers`)
  const { priorityClassName } = controller
  const { tolerations, imagePullSecrets } = round.spec.template
  const { name, labels, ...metadata } = metadataOf(round, pod.name, COMPONENTS.controller)
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...metadata,
      labels: { ...labels, [LABELS.zone]: pod.zone, [LABELS.epoch]: String(pod.epoch) },
    },
    spec: {
      restartPolicy: 'OnFailure',
      serviceAccountName: 'default',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      hostNetwork: true,
      dnsPolicy: 'Default',
      terminationGracePeriodSeconds: 30,
      affinity: onlyOn(pod.node),
      tolerations: [...tolerations, ...stay()],
      ...(imagePullSecrets ? { imagePullSecrets } : {}),
      ...(priorityClassName === undefined ? {} : { priorityClassName }),
      securityContext: podSecurity,
      initContainers: [{ ...preparation(round, settings), resources: controller.resources }],
      containers: [container(round, { ...controller, ...pod }, settings)],
      volumes: [tokenVolume(round), ...folders(round, pod.zone, settings)],
    },
  }
}

interface Wanted {
  zone: string
  port?: number | undefined
  bytesPerSecond?: number | undefined
  resources: Container['resources']
}

function container(round: FederatedRound, wanted: Wanted, settings: PodSettings): Container {
  const { port, resources } = wanted
  return {
    name: 'aggregate',
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    args: ['aggregate'],
    env: environment(round, wanted, settings),
    resources,
    // The scheduler then knows that the port is taken. A free one is chosen by the controller itself.
    ...(port === undefined ? {} : { ports: [{ name: 'tier', containerPort: port, hostPort: port }] }),
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: containerSecurity,
    volumeMounts: [
      { name: 'token', mountPath: TOKEN_FOLDER, readOnly: true },
      { name: 'state', mountPath: STATE_FOLDER },
    ],
  }
}

/**
 * A folder a zone, in it one a campaign: what nobody uses any more is then cleared away as it is for training pods, in whose
 * folder this one lies. Its name is none that a campaign's folder can have.
 */
function folders(round: FederatedRound, zone: string, { campaignsFolder }: PodSettings): Volume[] {
  const ofZone = `${campaignsFolder}/.controllers/${zone}`
  return [
    { name: 'campaigns', hostPath: { path: ofZone, type: 'DirectoryOrCreate' } },
    { name: 'state', hostPath: { path: `${ofZone}/${round.uid}`, type: 'DirectoryOrCreate' } },
  ]
}

function environment(
  round: FederatedRound,
  { zone, port = 0, bytesPerSecond }: Wanted,
  settings: PodSettings,
): EnvironmentVariable[] {
  return [
    ...hubEnvironment(round, settings),
    { name: 'TRIBUTARY_TIER', value: zone },
    { name: 'TRIBUTARY_NODE_ADDRESS', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
    { name: 'TRIBUTARY_PORT', value: String(port) },
    ...rateEnvironment(bytesPerSecond),
  ]
}
