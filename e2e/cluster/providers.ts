// Which provider makes clusters on this machine: kind where a Docker engine answers, network namespaces otherwise.
import type { Cluster, ClusterProvider, ProviderName } from './cluster.ts'
import { kindProvider } from './kind/provider.ts'
import { netnsProvider } from './netns/provider.ts'

export const providers: readonly ClusterProvider[] = [kindProvider, netnsProvider]

/** The named provider, or the first that this machine can run; the error says why none can. */
export async function chooseProvider(wanted?: ProviderName): Promise<ClusterProvider> {
  const candidates =
    wanted === undefined ? providers : providers.filter((provider) => provider.name === wanted)
  const reasons: string[] = []
  for (const provider of candidates) {
    const reason = await provider.unavailable()
    if (reason === undefined) return provider
    reasons.push(`${provider.name}: ${reason}`)
  }
  throw new Error(`no cluster can be made on this machine; ${reasons.join('; ')}`)
}

/** The cluster of that name when one is up, whichever provider made it. */
export async function attachCluster(name: string): Promise<Cluster | undefined> {
  for (const provider of providers) {
    if ((await provider.unavailable()) !== undefined) continue
    const cluster = await provider.attach(name)
    if (cluster !== undefined) return cluster
  }
  return undefined
}
