// The cluster's network: a bridge in the machine's own namespace, and a namespace with one cable for each node.
// Edge nodes stand behind NAT: they reach out, their pods cannot be reached from outside but for hostPorts.
import { readdir } from 'node:fs/promises'
import { addressBlock, blockCount, leadsInto, type AddressBlock } from '../addresses.ts'
import { run, tryRun } from '../run.ts'
import type { NetnsLayout, NodeLayout } from './layout.ts'

interface Link {
  readonly ifname: string
  readonly altnames?: readonly string[]
}

/**
 * Makes the bridge and takes a block of addresses. Two clusters that start at once cannot take the same block: the
 * block's name becomes an alternative name of the bridge, and the kernel keeps those unique.
 */
export async function ensureBridge(layout: NetnsLayout, wanted: number | undefined): Promise<AddressBlock> {
  const exists = (await listLinks()).some((link) => link.ifname === layout.bridge)
  if (!exists) await run('ip', ['link', 'add', 'name', layout.bridge, 'type', 'bridge'])
  const block = (await heldBlock(layout)) ?? (await takeBlock(layout, wanted))
  await run('ip', ['address', 'replace', `${block.gateway}/24`, 'dev', layout.bridge])
  await run('ip', ['link', 'set', 'dev', layout.bridge, 'up'])
  return block
}

export async function ensureNodeNetwork(
  layout: NetnsLayout,
  block: AddressBlock,
  node: NodeLayout,
): Promise<void> {
  const route = await tryRun('ip', ['-n', node.netns, 'route', 'show', 'default', 'dev', 'eth0'])
  if (route === undefined || route === '') {
    await removeNodeNetwork(node)
    await run('ip', ['netns', 'add', node.netns])
    const inside = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', node.netns]
    await run('ip', ['link', 'add', 'name', node.cable, 'master', layout.bridge, ...inside])
    await run('ip', ['-n', node.netns, 'link', 'set', 'dev', 'lo', 'up'])
    await run('ip', ['-n', node.netns, 'address', 'add', `${node.address}/24`, 'dev', 'eth0'])
    await run('ip', ['-n', node.netns, 'link', 'set', 'dev', 'eth0', 'up'])
    await run('nsenter', [`--net=${node.netnsPath}`, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'])
    // Last, because its presence says that everything before it was done.
    await run('ip', ['-n', node.netns, 'route', 'add', 'default', 'via', block.gateway])
  }
  await joinCable(node)
}

/** Pods of cloud nodes are reachable from this machine (the API server calls webhooks) and from other cloud nodes. */
export async function ensureCloudRoutes(nodes: readonly NodeLayout[]): Promise<void> {
  const cloud = nodes.filter((node) => node.node.role === 'cloud')
  for (const node of cloud) {
    await run('ip', ['route', 'replace', node.podRange, 'via', node.address])
    for (const other of cloud.filter((one) => one !== node)) {
      await run('ip', ['-n', other.netns, 'route', 'replace', node.podRange, 'via', node.address])
    }
  }
}

export async function cutCable(node: NodeLayout): Promise<void> {
  await run('ip', ['link', 'set', 'dev', node.cable, 'down'])
}

export async function joinCable(node: NodeLayout): Promise<void> {
  await run('ip', ['link', 'set', 'dev', node.cable, 'up'])
}

async function removeNodeNetwork(node: NodeLayout): Promise<void> {
  await tryRun('ip', ['link', 'delete', 'dev', node.cable])
  await tryRun('ip', ['netns', 'delete', node.netns])
}

/** What of the cluster's network exists, by name. */
export async function networkRemains(
  layout: NetnsLayout,
): Promise<{ links: string[]; namespaces: string[] }> {
  const links = (await listLinks())
    .map((link) => link.ifname)
    .filter((name) => name === layout.bridge || name.startsWith(layout.cablePrefix))
  const listed = await run('ip', ['netns', 'list'])
  const namespaces = listed
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(layout.netnsPrefix))
  return { links, namespaces }
}

export async function removeNetwork(layout: NetnsLayout): Promise<void> {
  const { links, namespaces } = await networkRemains(layout)
  for (const link of links) await tryRun('ip', ['link', 'delete', 'dev', link])
  for (const namespace of namespaces) await run('ip', ['netns', 'delete', namespace])
  await removeNamespaceFolder()
}

/** `ip netns add` mounts its folder onto itself, and nothing takes that away; it is busy while anyone uses it. */
async function removeNamespaceFolder(): Promise<void> {
  const names = await readdir('/run/netns').catch(() => ['unknown'])
  if (names.length === 0) await tryRun('umount', ['/run/netns'])
}

async function takeBlock(layout: NetnsLayout, wanted: number | undefined): Promise<AddressBlock> {
  const routes = await machineRoutes()
  const first = wanted ?? Number.parseInt(layout.cgroup.slice(-2), 16) % blockCount
  const candidates = Array.from({ length: wanted === undefined ? blockCount : 1 }, (_, step) =>
    addressBlock((first + step) % blockCount),
  )
  for (const block of candidates) {
    if (routes.some((route) => leadsInto(route, block))) continue
    const taken = await tryRun('ip', [
      'link',
      'property',
      'add',
      'dev',
      layout.bridge,
      'altname',
      blockName(block),
    ])
    if (taken !== undefined) return block
  }
  const ranges = candidates.map((block) => block.range).join(', ')
  throw new Error(
    `no addresses for cluster "${layout.clusterName}": other interfaces or clusters hold ${ranges}; take one of them down`,
  )
}

async function heldBlock(layout: NetnsLayout): Promise<AddressBlock | undefined> {
  const bridge = (await listLinks()).find((link) => link.ifname === layout.bridge)
  const names = bridge?.altnames ?? []
  return Array.from({ length: blockCount }, (_, index) => addressBlock(index)).find((block) =>
    names.includes(blockName(block)),
  )
}

async function machineRoutes(): Promise<string[]> {
  const routes = JSON.parse(await run('ip', ['-json', '-4', 'route', 'show', 'table', 'all'])) as {
    dst?: string
  }[]
  return routes.map((route) => route.dst ?? '').filter((destination) => /^\d+\./.test(destination))
}

async function listLinks(): Promise<Link[]> {
  return JSON.parse(await run('ip', ['-json', 'link', 'show'])) as Link[]
}

function blockName(block: AddressBlock): string {
  return `tributary-block-${String(block.index)}`
}
