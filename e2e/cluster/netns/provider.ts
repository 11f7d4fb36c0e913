// Real clusters on a Linux machine with root and no Docker: each node is a network namespace and a mount namespace with
// its own container runtime and kubelet. Every step of `up` looks at what is there and does what is missing.
import { mkdir, statfs, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pauseArchive } from '#e2e/images/pause.ts'
import { architectureOf } from '#e2e/images/platform.ts'
import { addressBlock, type AddressBlock } from '../addresses.ts'
import { archivedImage } from '../archived-image.ts'
import type { Cluster, ClusterProvider, ClusterSettings } from '../cluster.ts'
import { withLock } from '../lock.ts'
import { clusterPackages, ensurePackages, imagePackages } from '../packages.ts'
import { tryRun } from '../run.ts'
import { netnsTools } from '../tool-list.ts'
import { ensureTools } from '../tools.ts'
import { topologyFault, type Topology } from '../topology.ts'
import { removeRemains } from './cleanup.ts'
import {
  ensureControlPlane,
  ensureCredentials,
  missingControlPlane,
  writeNodeConfigs,
} from './control-plane.ts'
import { netnsLayout, nodeLayouts, type NetnsLayout, type NodeLayout } from './layout.ts'
import { importImage, NetnsCluster } from './netns-cluster.ts'
import { ensureBridge, ensureCloudRoutes, ensureNodeNetwork } from './network.ts'
import { containerdConfig, containerdSocket, podNetwork, sandboxImage } from './node-config.ts'
import { registerNodes, waitUntilReady } from './node-objects.ts'
import {
  ensureContainerd,
  ensureKeeper,
  ensureKubelet,
  ensureKubeProxy,
  missingProcesses,
  runInNode,
} from './node-processes.ts'
import { readState, writeState } from './state.ts'

export const netnsProvider: ClusterProvider = {
  name: 'netns',

  unavailable: async () => {
    if (process.platform !== 'linux') return `needs Linux; this is ${process.platform}`
    if (process.getuid?.() !== 0) return 'needs root, to make network namespaces and control groups'
    if ((await tryRun('unshare', ['--mount', '--net', 'true'])) === undefined) {
      return 'this machine lets nobody make mount and network namespaces'
    }
    return undefined
  },

  up: async (settings) => {
    const fault = topologyFault(settings.topology)
    if (fault !== undefined) throw new Error(`topology of cluster "${settings.name}": ${fault}`)
    const layout = netnsLayout(settings.name)
    await ensurePackages([...clusterPackages, ...imagePackages], settings.progress)
    await ensureTools(netnsTools, { cacheFolder: settings.toolCacheFolder, progress: settings.progress })
    return withLock(lockFile(layout), `cluster "${settings.name}"`, () => up(layout, settings))
  },

  attach: async (name) => {
    const layout = netnsLayout(name)
    const state = await readState(layout)
    if (state === undefined) return undefined
    const nodes = nodeLayouts(layout, state.topology.nodes, addressBlock(state.block))
    const missing = await Promise.all(nodes.map((node) => missingProcesses(layout, node)))
    if ([...(await missingControlPlane(layout)), ...missing.flat()].length > 0) return undefined
    return new NetnsCluster(layout, nodes)
  },

  down: async ({ name, progress }) => {
    const layout = netnsLayout(name)
    await withLock(lockFile(layout), `cluster "${name}"`, () => removeRemains(layout, progress))
  },
}

async function up(layout: NetnsLayout, settings: ClusterSettings): Promise<Cluster> {
  const { progress } = settings
  const step = progress.begin(`cluster "${settings.name}"`)
  try {
    step.update('network')
    const block = await ensureBlock(layout, settings.topology)
    const nodes = nodeLayouts(layout, settings.topology.nodes, block)
    for (const node of nodes) await ensureNodeNetwork(layout, block, node)
    await ensureCloudRoutes(nodes)
    step.update('control plane')
    await ensureCredentials(layout, block, nodes)
    await writeNodeConfigs(layout, block, nodes)
    await ensureControlPlane(layout, block, settings.topology)
    const cluster = new NetnsCluster(layout, nodes)
    await registerNodes(cluster)
    for (const [index, node] of nodes.entries()) {
      step.update(`node ${node.node.name} (${String(index + 1)} of ${String(nodes.length)})`)
      await ensureNode(layout, node)
    }
    step.update('waiting for the nodes to be Ready')
    await waitUntilReady(cluster)
    step.end('up')
    return cluster
  } catch (error) {
    step.fail()
    throw error
  }
}

async function ensureBlock(layout: NetnsLayout, topology: Topology): Promise<AddressBlock> {
  const state = await readState(layout)
  if (state !== undefined && JSON.stringify(state.topology) !== JSON.stringify(topology)) {
    throw new Error(`cluster "${layout.clusterName}" was made with another topology; take it down first`)
  }
  const block = await ensureBridge(layout, state?.block)
  await writeState(layout, { block: block.index, topology })
  return block
}

async function ensureNode(layout: NetnsLayout, node: NodeLayout): Promise<void> {
  await ensureKeeper(layout, node)
  const cniFolder = path.join(node.configFolder, 'cni')
  await mkdir(cniFolder, { recursive: true })
  await writeFile(path.join(cniFolder, '10-pods.conflist'), podNetwork(node))
  const snapshotter = await snapshotterFor(node)
  await writeFile(
    path.join(node.configFolder, 'containerd.toml'),
    containerdConfig({ cniFolder, snapshotter }),
  )
  await ensureContainerd(layout, node)
  await ensureSandboxImage(layout, node)
  await ensureKubelet(layout, node)
  if (node.node.role === 'cloud') await ensureKubeProxy(layout, node)
}

async function ensureSandboxImage(layout: NetnsLayout, node: NodeLayout): Promise<void> {
  const images = ['ctr', '--address', containerdSocket, '--namespace', 'k8s.io', 'images']
  const present = await runInNode(layout, node, [...images, 'list', '--quiet'])
  if (present.split('\n').includes(sandboxImage)) return
  const archive = await pauseArchive(sandboxImage, `linux/${architectureOf(process.arch)}`)
  await importImage(layout, node, await archivedImage(archive))
}

/** Overlay file systems do not stack on each other: where the checkout lies on one, layers are copied. */
async function snapshotterFor(node: NodeLayout): Promise<'overlayfs' | 'native'> {
  const overlayMagic = 0x794c7630
  await mkdir(node.privateRoot, { recursive: true })
  return (await statfs(node.privateRoot)).type === overlayMagic ? 'native' : 'overlayfs'
}

function lockFile(layout: NetnsLayout): string {
  return `${layout.folder}.lock`
}
