// Which nodes a test cluster has: cloud nodes, and edge nodes that stand in zones. Edge nodes carry the role label
// and the taint that edge platforms give them, and neither kube-proxy nor cluster DNS runs there.

export interface NodeTopology {
  readonly name: string
  readonly role: 'cloud' | 'edge'
  /** Value of topology.kubernetes.io/zone. */
  readonly zone?: string
}

export interface Topology {
  readonly nodes: readonly NodeTopology[]
  /** How long a silent node counts as alive (kube-controller-manager's node-monitor-grace-period). */
  readonly nodeMonitorGraceSeconds: number
}

export interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: 'NoSchedule'
}

const zoneLabel = 'topology.kubernetes.io/zone'
export const edgeRoleLabel = 'node-role.kubernetes.io/edge'
export const mostNodes = 28

export const defaultTopology: Topology = {
  nodes: [
    { name: 'cloud-1', role: 'cloud' },
    { name: 'edge-a1', role: 'edge', zone: 'zone-a' },
    { name: 'edge-a2', role: 'edge', zone: 'zone-a' },
    { name: 'edge-b1', role: 'edge', zone: 'zone-b' },
    { name: 'edge-b2', role: 'edge', zone: 'zone-b' },
  ],
  nodeMonitorGraceSeconds: 20,
}

export function nodeLabels(node: NodeTopology): Record<string, string> {
  return {
    'kubernetes.io/hostname': node.name,
    [node.role === 'edge' ? edgeRoleLabel : 'node-role.kubernetes.io/control-plane']: '',
    ...(node.zone === undefined ? {} : { [zoneLabel]: node.zone }),
  }
}

export function nodeTaints(node: NodeTopology): Taint[] {
  return node.role === 'edge' ? [{ key: edgeRoleLabel, effect: 'NoSchedule' }] : []
}

/** The first thing that is wrong with a topology, in words; undefined when nothing is. */
export function topologyFault(topology: Topology): string | undefined {
  const names = topology.nodes.map((node) => node.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  const malformed = names.find((name) => !/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name))
  if (twice !== undefined) return `nodes: "${twice}" is there twice; each node needs a name of its own`
  if (malformed !== undefined) {
    return `nodes: "${malformed}" is no node name; use 1 to 40 lower-case letters, digits and inner hyphens`
  }
  if (topology.nodes.length > mostNodes) {
    return `nodes: ${String(topology.nodes.length)} are too many; the address block has room for ${String(mostNodes)}`
  }
  if (topology.nodes[0]?.role !== 'cloud')
    return 'nodes: the first one must be a cloud node; pods of the cloud side run there'
  if (!Number.isInteger(topology.nodeMonitorGraceSeconds) || topology.nodeMonitorGraceSeconds < 10) {
    return `nodeMonitorGraceSeconds: ${String(topology.nodeMonitorGraceSeconds)} is no whole number of at least 10`
  }
  return undefined
}
