// The kind cluster that has the same nodes, labels and taints as the netns one. Text only.
import { stringify } from 'yaml'
import { nodeLabels, nodeTaints, type NodeTopology, type Topology } from '../topology.ts'

/** Folders of each node that this machine sees too, for placing data. */
export const sharedFolders = ['/srv/tributary', '/var/lib/tributary'] as const

export interface KindSettings {
  readonly topology: Topology
  /** Where this machine keeps a shared folder of a node. */
  readonly hostPath: (node: string, folder: string) => string
  readonly credentialsFolder: string
  readonly logsFolder: string
}

const policyInNode = '/etc/kubernetes/tributary/audit-policy.yaml'
const logsInNode = '/var/log/tributary'

export function kindConfig(settings: KindSettings): string {
  return stringify({
    kind: 'Cluster',
    apiVersion: 'kind.x-k8s.io/v1alpha4',
    nodes: settings.topology.nodes.map((node, index) => ({
      role: index === 0 ? 'control-plane' : 'worker',
      extraMounts: extraMounts(settings, node, index === 0),
      kubeadmConfigPatches: [
        ...(index === 0 ? [clusterPatch(settings.topology)] : []),
        registrationPatch(node, index === 0 ? 'InitConfiguration' : 'JoinConfiguration'),
      ],
    })),
  })
}

function extraMounts(settings: KindSettings, node: NodeTopology, controlPlane: boolean): object[] {
  const data = sharedFolders.map((folder) => ({
    hostPath: settings.hostPath(node.name, folder),
    containerPath: folder,
  }))
  if (!controlPlane) return data
  return [
    ...data,
    {
      hostPath: `${settings.credentialsFolder}/audit-policy.yaml`,
      containerPath: policyInNode,
      readOnly: true,
    },
    { hostPath: settings.logsFolder, containerPath: logsInNode },
  ]
}

function clusterPatch(topology: Topology): string {
  return stringify({
    kind: 'ClusterConfiguration',
    apiServer: {
      extraArgs: {
        'audit-policy-file': policyInNode,
        'audit-log-path': `${logsInNode}/audit.log`,
        'kubelet-preferred-address-types': 'InternalIP',
      },
      extraVolumes: [
        {
          name: 'audit-policy',
          hostPath: policyInNode,
          mountPath: policyInNode,
          readOnly: true,
          pathType: 'File',
        },
        { name: 'audit-log', hostPath: logsInNode, mountPath: logsInNode, pathType: 'DirectoryOrCreate' },
      ],
    },
    controllerManager: {
      extraArgs: { 'node-monitor-grace-period': `${String(topology.nodeMonitorGraceSeconds)}s` },
    },
  })
}

/** Gives the node its name and taints; without the explicit list kubeadm would taint the control plane. */
function registrationPatch(node: NodeTopology, kind: 'InitConfiguration' | 'JoinConfiguration'): string {
  return stringify({ kind, nodeRegistration: { name: node.name, taints: nodeTaints(node) } })
}

/** Labels that a kubelet may not give itself are set afterwards. */
export function labelArguments(node: NodeTopology): string[] {
  return Object.entries(nodeLabels(node)).map(([key, value]) => `${key}=${value}`)
}

/** Keeps kube-proxy off the edge nodes. */
export const cloudOnlyPatch = JSON.stringify({
  spec: {
    template: {
      spec: {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: 'node-role.kubernetes.io/edge', operator: 'DoesNotExist' }] },
              ],
            },
          },
        },
      },
    },
  },
})
