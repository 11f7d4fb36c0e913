// A cluster with Tributary on it, made or found: what the demo and every story begin with. Idempotent.
import os from 'node:os'
import path from 'node:path'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import type { Progress } from '#e2e/cluster/progress.ts'
import { chooseProvider } from '#e2e/cluster/providers.ts'
import { defaultTopology } from '#e2e/cluster/topology.ts'
import { buildImages, imageArchive } from '#e2e/images/build.ts'
import { images } from '#e2e/images/bundle.ts'
import { architectureOf } from '#e2e/images/platform.ts'
import { installTributary } from './install.ts'

/** Name of the cluster that `make up`, `make demo` and the stories share. */
export const CLUSTER = 'default'

/** Tag of the images that the build makes. */
const IMAGE_TAG = 'dev'

export async function clusterUp(progress: Progress): Promise<Cluster> {
  const provider = await chooseProvider()
  progress.note(`cluster "${CLUSTER}" by ${provider.name}`)
  const cacheHome = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache')
  const toolCacheFolder = path.join(cacheHome, 'tributary', 'bin')
  return provider.up({ name: CLUSTER, topology: defaultTopology, progress, toolCacheFolder })
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
