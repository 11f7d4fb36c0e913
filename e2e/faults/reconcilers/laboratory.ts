// One API server for many plans at once: each plan runs in a namespace of its own on a lane, whose nodes nobody else
// sees. What a plan leaves behind stays in etcd and disturbs nobody.
import { KubeConfig } from '@kubernetes/client-node'
import { Registry } from 'prom-client'
import { installKinds, kubectlOf } from '#crds/testing/cluster.ts'
import { startApiServer } from '#e2e/cluster/api-server.ts'
import { createKubeClient } from '#operator/kube/client.ts'
import type { KubeClient } from '#operator/kube/api.ts'
import { createKubeMetrics } from '#operator/kube/metrics.ts'
import { namespaces, nodes } from '#operator/kube/resources.ts'
import { resourceType } from '#operator/kube/types.ts'
import type { KubeObject } from '#operator/kube/types.ts'

export interface Lane {
  name: string
  nodes: readonly string[]
}

export interface Laboratory {
  /** The API server's own address and credentials, for proxies. */
  kubeConfig: KubeConfig
  /** Straight to the API server, for the test's own part. */
  direct: KubeClient
  lanes: readonly Lane[]
  /** A new namespace in which pods can be created. */
  namespace(): Promise<string>
  stop(): Promise<void>
}

export const LANE_LABEL = 'faults.tributary.dev/lane'

/** Of each node of a lane. */
const ZONES = ['east', 'east', 'west']

const serviceAccounts = resourceType<KubeObject>({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
})

/** With an API server of its own. */
export async function openLaboratory(lanes: number): Promise<Laboratory & { kubeconfig: string }> {
  const server = await startApiServer()
  await installKinds(kubectlOf(server))
  const laboratory = await joinLaboratory(server.kubeconfig, { lanes, prefix: 'a' })
  const stop = async (): Promise<void> => {
    await laboratory.stop()
    await server.stop()
  }
  return { ...laboratory, kubeconfig: server.kubeconfig, stop }
}

/** Lanes on an API server that is there already; the prefix tells them from those of others. */
export async function joinLaboratory(
  kubeconfig: string,
  { lanes, prefix }: { lanes: number; prefix: string },
): Promise<Laboratory> {
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromFile(kubeconfig)
  const direct = createKubeClient(kubeConfig, { metrics: createKubeMetrics(new Registry()) })
  const names = Array.from({ length: lanes }, (_, index) => `lane-${prefix}${String(index)}`)
  const made = await Promise.all(names.map((name) => makeLane(direct, name)))
  let count = 0
  return {
    kubeConfig,
    direct,
    lanes: made,
    namespace: async () => {
      count += 1
      const name = `plan-${prefix}${String(count)}`
      await direct.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
      const metadata = { name: 'default', namespace: name }
      await direct.create(serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata })
      return name
    },
    stop: () => {
      direct.close()
      return Promise.resolve()
    },
  }
}

async function makeLane(direct: KubeClient, name: string): Promise<Lane> {
  const own = ZONES.map((_, index) => `edge-${String(index + 1)}-${name}`)
  for (const [index, node] of own.entries()) {
    const zone = { 'topology.kubernetes.io/zone': ZONES[index] ?? '' }
    const labels = { tier: 'edge', [LANE_LABEL]: name, place: node, ...zone }
    await direct.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: node, labels } })
    await setReady(direct, node, 'True')
  }
  return { name, nodes: own }
}

export async function setReady(
  direct: KubeClient,
  name: string,
  status: 'True' | 'False' | 'Unknown',
): Promise<void> {
  const at = '2026-01-01T00:00:00Z'
  const ready = { type: 'Ready', status, lastTransitionTime: at, lastHeartbeatTime: at }
  await direct.applyStatus(nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: { conditions: [ready] },
  })
}
