// A running kind cluster as stories see it: each node is a container.
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { archivedImage } from '../archived-image.ts'
import type { Cluster } from '../cluster.ts'
import { clusterFolder } from '../paths.ts'
import { run, tryRun } from '../run.ts'
import { toolPath } from '../tools.ts'
import type { NodeTopology } from '../topology.ts'
import { sharedFolders } from './config.ts'

interface KindNode {
  readonly node: NodeTopology
  readonly container: string
  readonly address: string
}

const cutRules = [
  ['INPUT', '--in-interface'],
  ['OUTPUT', '--out-interface'],
  ['FORWARD', '--in-interface'],
  ['FORWARD', '--out-interface'],
] as const

export class KindCluster implements Cluster {
  readonly provider = 'kind' as const
  readonly name: string
  readonly kubeconfig: string
  readonly auditLog: string
  readonly nodes: readonly NodeTopology[]
  readonly #nodes: readonly KindNode[]

  private constructor(name: string, nodes: readonly KindNode[]) {
    this.name = name
    this.kubeconfig = path.join(clusterFolder(name), 'kubeconfig')
    this.auditLog = path.join(clusterFolder(name), 'logs', 'audit.log')
    this.nodes = nodes.map((node) => node.node)
    this.#nodes = nodes
  }

  static async connect(
    name: string,
    nodes: readonly NodeTopology[],
    containers: readonly string[],
  ): Promise<KindCluster> {
    const found = nodes.map(async (node, index) => {
      const container = containers[index] ?? ''
      const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
      const address = (await run('docker', ['inspect', '--format', format, container])).trim()
      return { node, container, address }
    })
    return new KindCluster(name, await Promise.all(found))
  }

  nodeAddress(node: string): string {
    return this.#node(node).address
  }

  async hostFolder(node: string, folder: string): Promise<string> {
    const local = nodeFolder(this.name, this.#node(node).node.name, folder)
    await mkdir(local, { recursive: true })
    return local
  }

  async execOnNode(node: string, command: readonly string[]): Promise<string> {
    return run('docker', ['exec', this.#node(node).container, ...command])
  }

  /** Packets are dropped rather than the link taken down, which would lose the container's routes. */
  async cutNode(node: string): Promise<void> {
    for (const [chain, direction] of cutRules) {
      const rule = [chain, direction, 'eth0', '--jump', 'DROP']
      if (!(await this.#hasRule(node, rule)))
        await this.execOnNode(node, ['iptables', '--wait', '--insert', ...rule])
    }
  }

  async joinNode(node: string): Promise<void> {
    for (const [chain, direction] of cutRules) {
      const rule = [chain, direction, 'eth0', '--jump', 'DROP']
      if (await this.#hasRule(node, rule))
        await this.execOnNode(node, ['iptables', '--wait', '--delete', ...rule])
    }
  }

  async stopKubelet(node: string): Promise<void> {
    await this.execOnNode(node, ['systemctl', 'stop', 'kubelet'])
  }

  async startKubelet(node: string): Promise<void> {
    await this.execOnNode(node, ['systemctl', 'start', 'kubelet'])
  }

  async loadImage(archive: string, nodes = this.nodes.map((node) => node.name)): Promise<void> {
    const { reference, digest } = await archivedImage(archive)
    for (const { container } of nodes.map((name) => this.#node(name))) {
      const list = ['ctr', '--namespace', 'k8s.io', 'images', 'list', `name==${reference}`]
      if ((await run('docker', ['exec', container, ...list])).includes(` ${digest} `)) continue
      const inNode = `/var/tmp/${path.basename(archive)}`
      await run('docker', ['cp', path.resolve(archive), `${container}:${inNode}`])
      const images = ['ctr', '--namespace', 'k8s.io', 'images']
      await run('docker', ['exec', container, ...images, 'import', inNode], { timeoutMs: 5 * 60_000 })
      await run('docker', ['exec', container, 'rm', inNode])
    }
  }

  async kubectl(
    args: readonly string[],
    options: { readonly input?: string; readonly timeoutMs?: number } = {},
  ): Promise<string> {
    return run(toolPath('kubectl'), [`--kubeconfig=${this.kubeconfig}`, ...args], options)
  }

  async #hasRule(node: string, rule: readonly string[]): Promise<boolean> {
    const check = ['exec', this.#node(node).container, 'iptables', '--wait', '--check', ...rule]
    return (await tryRun('docker', check)) !== undefined
  }

  #node(name: string): KindNode {
    const found = this.#nodes.find((node) => node.node.name === name)
    if (found !== undefined) return found
    const known = this.#nodes.map((node) => node.node.name).join(', ')
    throw new Error(`node "${name}": cluster "${this.name}" has ${known}`)
  }
}

/** Where this machine keeps a folder that is mounted into the node. */
export function nodeFolder(cluster: string, node: string, folder: string): string {
  const normal = path.posix.normalize(folder)
  if (!sharedFolders.some((shared) => normal === shared || normal.startsWith(`${shared}/`))) {
    throw new Error(
      `folder "${folder}": this machine sees only ${sharedFolders.join(' and ')} of a kind node`,
    )
  }
  return path.join(clusterFolder(cluster), 'nodes', node, 'root', normal)
}
