// A watch that runs until it is stopped, feeding a cache: the pair that a reconciler asks for. Holds of each object
// only what `keep` returns.

import { Cache } from './cache.ts'
import type { ReadonlyCache } from './cache.ts'
import type { KubeClient, Selection } from './api.ts'
import type { Clock } from './clock.ts'
import { messageOf } from './errors.ts'
import type { KubeMetrics } from './metrics.ts'
import { keyOf } from './types.ts'
import type { KubeObject, Logger, Random, ResourceType } from './types.ts'
import { runWatch, WATCH_TIMING } from './watch.ts'
import type { WatchSource, WatchTiming } from './watch.ts'

export interface InformerOptions<T extends KubeObject> extends Selection {
  client: KubeClient
  type: ResourceType<T>
  /**
   * Makes the small object that stays in memory out of the one that arrived; undefined leaves it out. Name,
   * namespace, uid and resourceVersion must stay. Unless told, all stays but `managedFields`.
   */
  keep?: ((object: T) => T | undefined) | undefined
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

export function startInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const { type, log, metrics, clock, random } = options
  const resource = type.plural
  const stopping = new AbortController()
  const timing = { ...WATCH_TIMING, ...options.timing }
  const keep = keeper(options)
  const cache = new Cache<T>((error) => {
    log.error({ err: error, resource }, 'a cache subscriber failed')
  })
  const done = runWatch({
    source: sourceOf(options, timing, stopping.signal),
    sink: (output) => {
      cache.receive(output, keep)
      metrics.cacheObjects.set({ resource }, cache.size)
    },
    onTrouble: ({ reason, message, delayMs }) => {
      metrics.watchRestarts.inc({ resource, reason })
      log.warn({ resource, reason, message, delayMs: Math.round(delayMs) }, 'watch interrupted')
    },
    timing,
    clock,
    random,
    signal: stopping.signal,
  })
  return {
    cache,
    stop: () => {
      stopping.abort(new Error('informer stopped'))
      return done
    },
  }
}

function sourceOf<T extends KubeObject>(
  { client, type, namespace, labelSelector, fieldSelector }: InformerOptions<T>,
  { serverTimeoutSeconds, idleTimeoutMs }: WatchTiming,
  signal: AbortSignal,
): WatchSource<T> {
  const selection = { namespace, labelSelector, fieldSelector, signal }
  return {
    list: (limit, continueToken) => client.list(type, { ...selection, limit, continueToken }),
    watch: (resourceVersion) =>
      client.watch(type, { ...selection, resourceVersion, serverTimeoutSeconds, idleTimeoutMs }),
  }
}

/** A `keep` that throws concerns one object: it is left out and said so, the watch goes on. */
function keeper<T extends KubeObject>(options: InformerOptions<T>): (object: T) => T | undefined {
  const keep = options.keep ?? withoutManagedFields
  return (object) => {
    try {
      return keep(object)
    } catch (error) {
      const fields = { resource: options.type.plural, key: keyOf(object.metadata), message: messageOf(error) }
      options.log.error(fields, 'object left out of the cache')
      return undefined
    }
  }
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  const metadata: T['metadata'] & { managedFields?: unknown } = { ...object.metadata }
  delete metadata.managedFields
  return { ...object, metadata }
}
