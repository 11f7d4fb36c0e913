// Brings the operator up in order: trust first (the hub's pod waits for it), then the lease, then reconciling.
import { hostname } from 'node:os'
import type { Registry } from 'prom-client'
import { parseHubAddress, tokenFromFile } from '#federation/wire/endpoint.ts'
import { ensureTrust } from './bootstrap/trust.ts'
import { createControlClient } from './hub-client/hub-client.ts'
import { createKubeClient } from './kube/client.ts'
import type { Clock } from './kube/clock.ts'
import { startHealthServer } from '#federation/tier/serving/health.ts'
import { loadKubeConfig } from './kube/kube-config.ts'
import { startLeaderElection } from './kube/lease.ts'
import { createKubeMetrics } from './kube/metrics.ts'
import type { Logger, OwnerReference, Random } from './kube/types.ts'
import { allOf, lead, startCaches } from './run-operator.ts'
import type { OperatorOptions } from './run-operator.ts'
import type { OperatorEnvironment } from './settings.ts'

export interface Process {
  clock: Clock
  random: Random
  log: Logger
  registry: Registry
}

export interface RunningOperator {
  /** Resolves with the reason when the leadership is lost: nothing more is written and the process should end. */
  lost: Promise<string>
  stop: () => Promise<void>
}

export async function startOperator(
  environment: OperatorEnvironment,
  process: Process,
): Promise<RunningOperator> {
  const { clock, log, random, registry } = process
  const metrics = createKubeMetrics(registry)
  const client = createKubeClient(loadKubeConfig(environment.KUBECONFIG), { metrics })
  const namespace = environment.POD_NAMESPACE
  const trust = await ensureTrust({
    client,
    namespace,
    deployment: environment.TRIBUTARY_DEPLOYMENT_NAME,
    now: clock.now(),
  })
  const hub = createControlClient(
    {
      endpoint: {
        ...hubAddress(environment),
        authority: trust.hubAuthority,
        readToken: tokenFromFile(environment.TRIBUTARY_TOKEN_FILE),
      },
      random,
      onTrouble: (message) => {
        log.warn({ message }, 'change stream of the hub interrupted')
      },
    },
    () => clock.now(),
  )
  const options: OperatorOptions = {
    ...{ client, hub, clock, random, log, metrics, registry, instance: environment.POD_NAME },
    podSettings: {
      image: environment.TRIBUTARY_EDGE_AGENT_IMAGE,
      imagePullPolicy: environment.TRIBUTARY_EDGE_AGENT_PULL_POLICY,
      hubAddress: environment.TRIBUTARY_HUB_ADDRESS,
      hubCertificateAuthority: trust.hubAuthority,
      campaignsFolder: environment.TRIBUTARY_CAMPAIGNS_FOLDER,
    },
  }
  return elect(options, environment, trust.owner)
}

async function elect(
  options: OperatorOptions,
  environment: OperatorEnvironment,
  ownerReferences: OwnerReference[],
): Promise<RunningOperator> {
  const { client, clock, random, log, metrics, registry } = options
  const watches = startCaches(options)
  const synced = () =>
    allOf(watches.caches).every((cache) => cache.synced) ? undefined : 'caches are not complete'
  const health = await startHealthServer({
    port: environment.TRIBUTARY_HEALTH_PORT,
    registry,
    ready: { caches: synced },
  })
  const lost = Promise.withResolvers<string>()
  let leading: Promise<{ stop: () => Promise<void> }> | undefined
  const election = startLeaderElection({
    ...{ client, clock, random, log, metrics },
    lease: { namespace: environment.POD_NAMESPACE, name: 'tributary-operator' },
    ownerReferences,
    identity: `${environment.POD_NAME}_${hostname()}_${clock.now()}`,
    onStarted: (leadership) => {
      leading = lead(options, watches.caches, leadership)
      leading.catch((error: unknown) => {
        lost.resolve(error instanceof Error ? error.message : String(error))
      })
    },
    onLost: (reason) => {
      lost.resolve(reason)
    },
  })
  return {
    lost: lost.promise,
    stop: async () => {
      await leading?.then((running) => running.stop()).catch(() => undefined)
      await election.stop()
      await watches.stop()
      await health.close()
      options.hub.close()
      client.close()
    },
  }
}

/** Inside the cluster through the Service's address, which needs no DNS; outside by the address that edge nodes use. */
function hubAddress(environment: OperatorEnvironment): { host: string; port: number } {
  const { TRIBUTARY_HUB_SERVICE_HOST: host, TRIBUTARY_HUB_SERVICE_PORT: port } = environment
  return host && port ? { host, port: Number(port) } : parseHubAddress(environment.TRIBUTARY_HUB_ADDRESS)
}
