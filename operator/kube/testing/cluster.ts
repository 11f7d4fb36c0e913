// A real kube-apiserver with a faulty proxy before it, for cluster tests of this layer.

import { KubeConfig } from '@kubernetes/client-node'
import { startApiServer } from '#e2e/cluster/api-server.ts'
import type { ApiServer } from '#e2e/cluster/api-server.ts'
import { createKubeClient } from '../client.ts'
import type { KubeClient } from '../client.ts'
import { namespaces } from '../resources.ts'
import { startFaultProxy } from './fault-proxy.ts'
import type { FaultProxy } from './fault-proxy.ts'
import { createHarness } from './harness.ts'

export interface FaultyCluster {
  server: ApiServer
  proxy: FaultProxy
  /** Straight to the API server. */
  direct: KubeClient
  /** Through the proxy, with a short time-out. */
  client: KubeClient
  /** A namespace of its own for each test. */
  namespace(): Promise<string>
  stop(): Promise<void>
}

export async function startFaultyCluster(timeoutMs = 2_000): Promise<FaultyCluster> {
  const server = await startApiServer()
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromFile(server.kubeconfig)
  const proxy = await startFaultProxy(kubeConfig)
  const direct = createKubeClient(kubeConfig, { metrics: createHarness().metrics })
  const client = createKubeClient(proxy.kubeConfig, { metrics: createHarness().metrics, timeoutMs })
  let made = 0
  return {
    server,
    proxy,
    direct,
    client,
    namespace: async () => {
      made += 1
      const name = `test-${String(made)}`
      await direct.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
      return name
    },
    stop: async () => {
      client.close()
      direct.close()
      await proxy.close()
      await server.stop()
    },
  }
}
