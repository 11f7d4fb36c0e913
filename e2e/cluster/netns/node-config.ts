// The configuration files of a node's container runtime, pod network, kubelet and kube-proxy. Text only.
import { stringify } from 'yaml'
import type { AddressBlock } from '../addresses.ts'
import type { NodeLayout } from './layout.ts'

export const sandboxImage = 'docker.io/tributary/pause:dev'
export const containerdSocket = '/run/containerd/containerd.sock'
const cniPlugins = '/usr/lib/cni'

export interface ContainerdSettings {
  readonly cniFolder: string
  readonly snapshotter: 'overlayfs' | 'native'
}

export function containerdConfig(settings: ContainerdSettings): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "${containerdSocket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandboxImage}"
  disable_apparmor = true
  restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "${cniPlugins}"
  conf_dir = "${settings.cniFolder}"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "${settings.snapshotter}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
`
}

/**
 * Pods hang on the node by a cable each, not on a bridge: whatever one pod sends to another is routed, so that a
 * Service's answers find their way back through the node without bridge filtering.
 */
export function podNetwork(node: NodeLayout): string {
  return JSON.stringify(
    {
      cniVersion: '0.4.0',
      name: 'pods',
      plugins: [
        {
          type: 'ptp',
          ipMasq: node.node.role === 'edge',
          ipam: {
            type: 'host-local',
            ranges: [[{ subnet: node.podRange }]],
            routes: [{ dst: '0.0.0.0/0' }],
            dataDir: '/run/cni-addresses',
          },
        },
        { type: 'portmap', capabilities: { portMappings: true }, snat: true },
      ],
    },
    undefined,
    2,
  )
}

export function kubeletConfig(node: NodeLayout, credentialsFolder: string): string {
  return stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: node.address,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${credentialsFolder}/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${node.configFolder}/kubelet.crt`,
    tlsPrivateKeyFile: `${node.configFolder}/kubelet.key`,
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: node.cgroup,
    failCgroupV1: false,
    failSwapOn: false,
    healthzPort: 0,
    // There is no DNS; without this a pod would get the machine's.
    resolvConf: '',
    // Renewed every fifth of this, so that a silent node is seen soon.
    nodeLeaseDurationSeconds: 20,
    nodeStatusUpdateFrequency: '5s',
    nodeStatusReportFrequency: '1m',
    // Images come from no registry: one that is collected never returns. The disk is the machine's to watch.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    logging: { format: 'text' },
  })
}

export function kubeProxyConfig(node: NodeLayout, block: AddressBlock): string {
  return stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    hostnameOverride: node.node.name,
    clusterCIDR: block.range,
    clientConnection: { kubeconfig: `${node.configFolder}/kube-proxy.kubeconfig` },
    healthzBindAddress: `${node.address}:10256`,
    metricsBindAddress: '127.0.0.1:10249',
    iptables: { masqueradeAll: true },
    // The connection table's size belongs to the machine, not to a namespace.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  })
}
