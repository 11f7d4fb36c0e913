// What a story may do with a real cluster, whichever provider made it. Nodes are named as in the topology.
import type { Progress } from './progress.ts'
import type { NodeTopology, Topology } from './topology.ts'

export type ProviderName = 'netns' | 'kind'

export interface Cluster {
  readonly name: string
  readonly provider: ProviderName
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string
  /** Path of the API server's audit log: one JSON object a line, level Metadata. */
  readonly auditLog: string
  readonly nodes: readonly NodeTopology[]

  /** The node's own address: NodePorts of cloud nodes and hostPorts of every node answer there. */
  nodeAddress(node: string): string
  /** Where this machine sees a folder of the node, for placing data; made when absent. */
  hostFolder(node: string, folder: string): Promise<string>
  /** Runs a command in the node's mount and network namespaces; its standard output. */
  execOnNode(node: string, command: readonly string[]): Promise<string>

  /** Takes the node off the network; what runs on it goes on running. Cutting twice is cutting once. */
  cutNode(node: string): Promise<void>
  joinNode(node: string): Promise<void>
  stopKubelet(node: string): Promise<void>
  startKubelet(node: string): Promise<void>

  /** Imports an OCI archive into the container runtime of the nodes (all of them unless named), where it is not yet. */
  loadImage(archive: string, nodes?: readonly string[]): Promise<void>
  kubectl(
    args: readonly string[],
    options?: { readonly input?: string; readonly timeoutMs?: number },
  ): Promise<string>
}

export interface ClusterSettings {
  readonly name: string
  readonly topology: Topology
  readonly progress: Progress
  /** Machine-wide folder of built programs. */
  readonly toolCacheFolder: string
}

export interface ClusterProvider {
  readonly name: ProviderName
  /** Why this machine cannot run it; undefined when it can. */
  unavailable(): Promise<string | undefined>
  /** Idempotent: a running cluster is verified and used again, what is missing is started. */
  up(settings: ClusterSettings): Promise<Cluster>
  /** The cluster when it is up already, without starting anything. */
  attach(name: string): Promise<Cluster | undefined>
  /** Leaves nothing behind, also after an `up` that failed half-way. */
  down(settings: Omit<ClusterSettings, 'topology'>): Promise<void>
}
