// The uplink of a zone, cut and joined: its nodes reach each other and nobody else, as behind a router whose line is dead. What comes
// from outside is dropped without a word, so both ends have to notice by themselves.
import type { Cluster } from '#e2e/cluster/cluster.ts'

const CHAINS = ['INPUT', 'FORWARD'] as const

/** Cuts the zone off, and joins it when the work is over, however that ends. */
export async function withZoneCutOff<T>(cluster: Cluster, zone: string, work: () => Promise<T>): Promise<T> {
  try {
    await change(cluster, zone, '--insert')
    return await work()
  } finally {
    await joinZone(cluster, zone)
  }
}

/** Does nothing to a zone that is joined. */
export async function joinZone(cluster: Cluster, zone: string): Promise<void> {
  await change(cluster, zone, '--delete')
}

export function nodesOf(cluster: Cluster, zone: string): string[] {
  return cluster.nodes.filter((node) => node.zone === zone).map(({ name }) => name)
}

async function change(cluster: Cluster, zone: string, command: '--insert' | '--delete'): Promise<void> {
  const outside = await addressesOutside(cluster, zone)
  const rules = CHAINS.flatMap((chain) =>
    outside.map((address) => [chain, '--source', address, '--jump', 'DROP']),
  )
  for (const node of nodesOf(cluster, zone)) {
    for (const rule of rules) {
      if ((command === '--delete') !== (await isThere(cluster, node, rule))) continue
      await cluster.execOnNode(node, ['iptables', '--wait', command, ...rule])
    }
  }
}

async function isThere(cluster: Cluster, node: string, rule: string[]): Promise<boolean> {
  return await cluster.execOnNode(node, ['iptables', '--wait', '--check', ...rule]).then(
    () => true,
    () => false,
  )
}

/** Of the other nodes, and of the API server. */
async function addressesOutside(cluster: Cluster, zone: string): Promise<string[]> {
  const text = await cluster.kubectl([
    ...['get', 'endpointslices', '--namespace=default', '--selector=kubernetes.io/service-name=kubernetes'],
    '--output=jsonpath={.items[*].endpoints[*].addresses[*]}',
  ])
  const others = cluster.nodes.filter((node) => node.zone !== zone)
  const addresses = [...others.map(({ name }) => cluster.nodeAddress(name)), ...text.trim().split(/\s+/)]
  return [...new Set(addresses.filter((address) => address !== ''))]
}
