// Clusters made by kind, on machines where a Docker engine answers. The same stories run on it, chosen by
// providers.ts; it has been type-checked and its configuration is tested, but a machine with Docker is needed to run it.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Cluster, ClusterProvider, ClusterSettings } from '../cluster.ts'
import { auditPolicy } from '../control-plane.ts'
import { withLock } from '../lock.ts'
import { checkoutDigest, clusterFolder } from '../paths.ts'
import type { Progress } from '../progress.ts'
import { run, tryRun } from '../run.ts'
import { kindTools } from '../tool-list.ts'
import { ensureTools, toolPath } from '../tools.ts'
import { topologyFault, type NodeTopology } from '../topology.ts'
import { cloudOnlyPatch, kindConfig, labelArguments, sharedFolders } from './config.ts'
import { KindCluster, nodeFolder } from './kind-cluster.ts'

const createTimeoutMs = 15 * 60_000

export const kindProvider: ClusterProvider = {
  name: 'kind',

  unavailable: async () => {
    const version = await tryRun('docker', ['info', '--format', '{{.ServerVersion}}'], { timeoutMs: 15_000 })
    return version === undefined || version.trim() === '' ? 'no Docker engine answers' : undefined
  },

  up: async (settings) => {
    const fault = topologyFault(settings.topology)
    if (fault !== undefined) throw new Error(`topology of cluster "${settings.name}": ${fault}`)
    await ensureTools(kindTools, { cacheFolder: settings.toolCacheFolder, progress: settings.progress })
    return withLock(lockFile(settings.name), `cluster "${settings.name}"`, () => up(settings))
  },

  attach: async (name) => {
    const nodes = await readTopology(name)
    if (nodes === undefined) return undefined
    const cluster = await connect(name, nodes)
    const answer = await tryRun(toolPath('kubectl'), [
      `--kubeconfig=${cluster.kubeconfig}`,
      'get',
      '--raw=/readyz',
    ])
    return answer === undefined ? undefined : cluster
  },

  down: async ({ name, progress, toolCacheFolder }) => {
    await ensureTools(['kind'], { cacheFolder: toolCacheFolder, progress })
    await withLock(lockFile(name), `cluster "${name}"`, () => down(name, progress))
  },
}

async function up(settings: ClusterSettings): Promise<Cluster> {
  const { name, topology, progress } = settings
  const step = progress.begin(`cluster "${name}"`)
  try {
    const clusters = await run(toolPath('kind'), ['get', 'clusters'])
    if (!clusters.split('\n').includes(kindName(name))) {
      step.update('creating (kind)')
      await create(settings)
    }
    const cluster = await connect(name, topology.nodes)
    for (const node of topology.nodes) {
      await cluster.kubectl(['label', '--overwrite', 'node', node.name, ...labelArguments(node)])
      await cluster.joinNode(node.name)
      await cluster.startKubelet(node.name)
    }
    const patch = ['patch', 'daemonset/kube-proxy', '--type=merge', `--patch=${cloudOnlyPatch}`]
    await cluster.kubectl(['--namespace=kube-system', ...patch])
    step.update('waiting for the nodes to be Ready')
    const wait = ['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=180s']
    await cluster.kubectl(wait, { timeoutMs: 200_000 })
    step.end('up')
    return cluster
  } catch (error) {
    step.fail()
    throw error
  }
}

async function create(settings: ClusterSettings): Promise<void> {
  const folder = clusterFolder(settings.name)
  const logsFolder = path.join(folder, 'logs')
  const hostPath = (node: string, shared: string): string => nodeFolder(settings.name, node, shared)
  await mkdir(logsFolder, { recursive: true })
  for (const node of settings.topology.nodes) {
    for (const shared of sharedFolders) await mkdir(hostPath(node.name, shared), { recursive: true })
  }
  await writeFile(path.join(folder, 'audit-policy.yaml'), auditPolicy)
  const config = kindConfig({ topology: settings.topology, hostPath, credentialsFolder: folder, logsFolder })
  await writeFile(path.join(folder, 'topology.json'), JSON.stringify(settings.topology.nodes))
  const flags = [
    '--name',
    kindName(settings.name),
    '--config',
    '-',
    '--kubeconfig',
    path.join(folder, 'kubeconfig'),
  ]
  await run(toolPath('kind'), ['create', 'cluster', ...flags, '--wait', '180s'], {
    input: config,
    timeoutMs: createTimeoutMs,
  })
}

async function down(name: string, progress: Progress): Promise<void> {
  const step = progress.begin(`taking down cluster "${name}"`)
  try {
    await run(toolPath('kind'), ['delete', 'cluster', '--name', kindName(name)], {
      timeoutMs: createTimeoutMs,
    })
    await rm(clusterFolder(name), { recursive: true, force: true })
    step.end('down')
  } catch (error) {
    step.fail()
    throw error
  }
}

async function connect(name: string, nodes: readonly NodeTopology[]): Promise<KindCluster> {
  const clusterName = kindName(name)
  const listed = (await run(toolPath('kind'), ['get', 'nodes', '--name', clusterName])).split('\n')
  const containers = nodes.map((_, index) => containerName(clusterName, index))
  const absent = containers.find((container) => !listed.includes(container))
  if (absent !== undefined)
    throw new Error(`cluster "${name}": its node container ${absent} is gone; take it down first`)
  return KindCluster.connect(name, nodes, containers)
}

/** kind names containers by role and order of the configuration. */
export function containerName(clusterName: string, index: number): string {
  if (index === 0) return `${clusterName}-control-plane`
  return index === 1 ? `${clusterName}-worker` : `${clusterName}-worker${String(index)}`
}

async function readTopology(name: string): Promise<NodeTopology[] | undefined> {
  const text = await readFile(path.join(clusterFolder(name), 'topology.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as NodeTopology[])
}

function kindName(name: string): string {
  return `tributary-${checkoutDigest(name)}`
}

function lockFile(name: string): string {
  return `${clusterFolder(name)}.lock`
}
