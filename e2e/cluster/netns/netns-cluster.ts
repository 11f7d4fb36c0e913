// A running netns cluster as stories see it.
import { mkdir } from 'node:fs/promises'
import { archivedImage, type ArchivedImage } from '../archived-image.ts'
import type { Cluster } from '../cluster.ts'
import { run } from '../run.ts'
import { toolPath } from '../tools.ts'
import type { NodeTopology } from '../topology.ts'
import { nodeLocalPath, type NetnsLayout, type NodeLayout } from './layout.ts'
import { cutCable, joinCable } from './network.ts'
import { containerdSocket } from './node-config.ts'
import { ensureKubelet, runInNode, stopKubelet } from './node-processes.ts'

export class NetnsCluster implements Cluster {
  readonly provider = 'netns' as const
  readonly name: string
  readonly kubeconfig: string
  readonly auditLog: string
  readonly nodes: readonly NodeTopology[]
  readonly #layout: NetnsLayout
  readonly #nodes: readonly NodeLayout[]

  constructor(layout: NetnsLayout, nodes: readonly NodeLayout[]) {
    this.#layout = layout
    this.#nodes = nodes
    this.name = layout.clusterName
    this.kubeconfig = layout.kubeconfig
    this.auditLog = layout.auditLog
    this.nodes = nodes.map((node) => node.node)
  }

  nodeAddress(node: string): string {
    return this.#node(node).address
  }

  async hostFolder(node: string, folder: string): Promise<string> {
    const local = nodeLocalPath(this.#node(node), folder)
    await mkdir(local, { recursive: true })
    return local
  }

  async execOnNode(node: string, command: readonly string[]): Promise<string> {
    return runInNode(this.#layout, this.#node(node), command)
  }

  async cutNode(node: string): Promise<void> {
    await cutCable(this.#node(node))
  }

  async joinNode(node: string): Promise<void> {
    await joinCable(this.#node(node))
  }

  async stopKubelet(node: string): Promise<void> {
    await stopKubelet(this.#layout, this.#node(node))
  }

  async startKubelet(node: string): Promise<void> {
    await ensureKubelet(this.#layout, this.#node(node))
  }

  async loadImage(archive: string, nodes = this.nodes.map((node) => node.name)): Promise<void> {
    const image = await archivedImage(archive)
    // One after the other: unpacking is bound by the disk that all nodes share.
    for (const name of nodes) await importImage(this.#layout, this.#node(name), image)
  }

  async kubectl(
    args: readonly string[],
    options: { readonly input?: string; readonly timeoutMs?: number } = {},
  ): Promise<string> {
    return run(toolPath('kubectl'), [`--kubeconfig=${this.kubeconfig}`, ...args], options)
  }

  #node(name: string): NodeLayout {
    const found = this.#nodes.find((node) => node.node.name === name)
    if (found !== undefined) return found
    const known = this.#nodes.map((node) => node.node.name).join(', ')
    throw new Error(`node "${name}": cluster "${this.name}" has ${known}`)
  }
}

/** The archive is read where it lies: the checkout's state is visible on every node. */
export async function importImage(
  layout: NetnsLayout,
  node: NodeLayout,
  image: ArchivedImage,
): Promise<void> {
  const images = ['ctr', '--address', containerdSocket, '--namespace', 'k8s.io', 'images']
  const present = await runInNode(layout, node, [...images, 'list', `name==${image.reference}`])
  if (present.includes(` ${image.digest} `)) return
  await runInNode(layout, node, [...images, 'import', image.archive], 5 * 60_000)
}
