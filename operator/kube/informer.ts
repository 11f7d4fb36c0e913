// A watch that runs for as long as the process, feeding a cache: the pair that a reconciler asks for.

import type { ReadonlyCache } from './cache.ts'
import type { KubeClient, Selection } from './client.ts'
import type { Clock } from './clock.ts'
import type { KubeMetrics } from './metrics.ts'
import type { KubeObject, Logger, Random, ResourceType } from './types.ts'
import type { WatchTiming } from './watch.ts'

export interface InformerOptions<T extends KubeObject> extends Selection {
  client: KubeClient
  type: ResourceType<T>
  /** Makes the small object that stays in memory out of the one that arrived. */
  keep?: ((object: T) => T) | undefined
  clock: Clock
  random: Random
  log: Logger
  metrics: KubeMetrics
  timing?: Partial<WatchTiming> | undefined
}

export interface Informer<T extends KubeObject> {
  readonly cache: ReadonlyCache<T>
  /** Ends the watch; resolves when nothing runs any more. */
  stop(): Promise<void>
}
