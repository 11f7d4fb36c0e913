// The nodes as Kubernetes objects. They are made before the kubelets start, because a kubelet may not give itself the
// edge role, and a pod must never see an edge node without its taint.
import type { Cluster } from '../cluster.ts'
import { nodeLabels, nodeTaints } from '../topology.ts'
import { waitFor } from '../wait.ts'

export async function registerNodes(cluster: Cluster): Promise<void> {
  for (const node of cluster.nodes) {
    const existing = await cluster.kubectl(['get', 'node', node.name, '--ignore-not-found', '--output=name'])
    if (existing !== '') continue
    const object = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: node.name, labels: nodeLabels(node) },
      spec: { taints: nodeTaints(node) },
    }
    await cluster.kubectl(['create', '--filename=-'], { input: JSON.stringify(object) })
  }
}

interface NodeList {
  readonly items: readonly {
    readonly metadata: { readonly name: string }
    readonly status: {
      readonly conditions?: readonly {
        readonly type: string
        readonly status: string
        readonly message?: string
      }[]
    }
  }[]
}

export async function waitUntilReady(cluster: Cluster): Promise<void> {
  await waitFor({ what: 'all nodes Ready', timeoutMs: 180_000, intervalMs: 1000 }, async () => {
    const list = JSON.parse(await cluster.kubectl(['get', 'nodes', '--output=json'])) as NodeList
    const trouble = cluster.nodes.flatMap(({ name }) => {
      const found = list.items.find((item) => item.metadata.name === name)
      const ready = found?.status.conditions?.find((condition) => condition.type === 'Ready')
      return ready?.status === 'True' ? [] : [`${name}: ${ready?.message ?? 'not heard of'}`]
    })
    if (trouble.length > 0) throw new Error(trouble.join('; '))
    return true
  })
}
