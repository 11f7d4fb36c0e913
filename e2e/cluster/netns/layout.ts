// Every name and path of a netns cluster, derived from the checkout and the cluster's name alone: what was made can
// be found again, and taken away, without any state of its own, and two checkouts never share a name.
import path from 'node:path'
import { nodeAddress, podRange, type AddressBlock } from '../addresses.ts'
import { checkoutDigest, clusterFolder } from '../paths.ts'
import type { NodeTopology } from '../topology.ts'

export interface NetnsLayout {
  readonly clusterName: string
  readonly folder: string
  readonly stateFile: string
  readonly recordsFolder: string
  readonly logsFolder: string
  readonly credentialsFolder: string
  readonly kubeconfig: string
  readonly auditLog: string
  readonly etcdFolder: string
  readonly nodesFolder: string
  readonly bridge: string
  /** Host sides of the nodes' cables begin with this. */
  readonly cablePrefix: string
  readonly netnsPrefix: string
  /** Name of the control group, at the root of each hierarchy, under which every node has its own. */
  readonly cgroup: string
}

export interface NodeLayout {
  readonly node: NodeTopology
  readonly netns: string
  readonly netnsPath: string
  readonly cable: string
  /** The control group as kubelet names it, e.g. /tributary-0a1b2c3d/edge-a1. */
  readonly cgroup: string
  readonly folder: string
  /** Holds the folders that only this node sees in place of the machine's. */
  readonly privateRoot: string
  readonly configFolder: string
  readonly address: string
  readonly podRange: string
}

/** In place of these folders of the machine each node has its own, so that hostPath volumes are the node's. */
export const nodeLocalFolders = ['/var', '/srv', '/run', '/mnt'] as const

export function netnsLayout(clusterName: string): NetnsLayout {
  const folder = clusterFolder(clusterName)
  const digest = checkoutDigest(clusterName)
  return {
    clusterName,
    folder,
    stateFile: path.join(folder, 'state.json'),
    recordsFolder: path.join(folder, 'processes'),
    logsFolder: path.join(folder, 'logs'),
    credentialsFolder: path.join(folder, 'credentials'),
    kubeconfig: path.join(folder, 'kubeconfig'),
    auditLog: path.join(folder, 'logs', 'audit.log'),
    etcdFolder: path.join(folder, 'etcd'),
    nodesFolder: path.join(folder, 'nodes'),
    bridge: `tb${digest}`,
    cablePrefix: `tc${digest}-`,
    netnsPrefix: `tributary-${digest}-`,
    cgroup: `tributary-${digest}`,
  }
}

export function nodeLayouts(
  layout: NetnsLayout,
  nodes: readonly NodeTopology[],
  block: AddressBlock,
): readonly NodeLayout[] {
  return nodes.map((node, index) => {
    const folder = path.join(layout.nodesFolder, node.name)
    const netns = `${layout.netnsPrefix}${node.name}`
    return {
      node,
      netns,
      netnsPath: `/run/netns/${netns}`,
      cable: `${layout.cablePrefix}${String(index)}`,
      cgroup: `/${layout.cgroup}/${node.name}`,
      folder,
      privateRoot: path.join(folder, 'root'),
      configFolder: path.join(folder, 'config'),
      address: nodeAddress(block, index),
      podRange: podRange(block, index),
    }
  })
}

/** Where this machine sees a folder of the node. */
export function nodeLocalPath(node: NodeLayout, folder: string): string {
  const normal = path.posix.normalize(folder)
  const local = nodeLocalFolders.some((root) => normal.startsWith(`${root}/`))
  if (!local) {
    throw new Error(
      `folder "${folder}": nodes share this machine's file system except for ${nodeLocalFolders.join(', ')}; name a folder below one of them`,
    )
  }
  return path.join(node.privateRoot, normal)
}
