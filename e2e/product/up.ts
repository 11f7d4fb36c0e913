// A cluster with Tributary on it, made or found: what the demo and every story begin with. Idempotent.
import os from 'node:os'
import path from 'node:path'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import type { Progress } from '#e2e/cluster/progress.ts'
import { attachCluster, chooseProvider } from '#e2e/cluster/providers.ts'
import { defaultTopology } from '#e2e/cluster/topology.ts'
import type { Topology } from '#e2e/cluster/topology.ts'
import { buildImages, imageArchive } from '#e2e/images/build.ts'
import { images } from '#e2e/images/bundle.ts'
import { architectureOf } from '#e2e/images/platform.ts'
import { installTributary } from './install.ts'

/** Name of the cluster that `make up`, `make demo` and the stories share. */
export const CLUSTER = 'default'

/** Tag of the images that the build makes. */
const IMAGE_TAG = 'dev'

/** Another name makes a cluster beside the shared one. */
export interface ClusterChoice {
  name: string
  topology: Topology
}

const SHARED: ClusterChoice = { name: CLUSTER, topology: defaultTopology }

export async function clusterUp(progress: Progress, choice = SHARED): Promise<Cluster> {
  const provider = await chooseProvider()
  progress.note(`cluster "${choice.name}" by ${provider.name}`)
  return provider.up({ ...settings(progress, choice.name), topology: choice.topology })
}

/** True when the cluster is up already. */
export async function clusterIsUp(): Promise<boolean> {
  return (await attachCluster(CLUSTER)) !== undefined
}

export async function clusterDown(progress: Progress, name = CLUSTER): Promise<void> {
  await (await chooseProvider()).down(settings(progress, name))
}

function settings(
  progress: Progress,
  name: string,
): { name: string; progress: Progress; toolCacheFolder: string } {
  const cacheHome = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache')
  return { name, progress, toolCacheFolder: path.join(cacheHome, 'tributary', 'bin') }
}

/** Builds both images, brings them onto every node and installs the chart. */
export async function productUp(cluster: Cluster, progress: Progress): Promise<void> {
  const architecture = architectureOf(process.arch)
  await buildImages(architecture, progress)
  await step(progress, 'images onto the nodes', async () => {
    for (const image of images) await cluster.loadImage(imageArchive(image, architecture))
  })
  await step(progress, 'helm upgrade --install tributary', () => installTributary(cluster, IMAGE_TAG))
}

/** Runs one step under a line that says how long it took. */
export async function step<T>(progress: Progress, what: string, work: () => Promise<T>): Promise<T> {
  const line = progress.begin(what)
  try {
    const result = await work()
    line.end()
    return result
  } catch (error) {
    line.fail()
    throw error
  }
}
