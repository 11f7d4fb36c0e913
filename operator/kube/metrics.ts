// The Prometheus metrics of the Kubernetes layer, made once per registry and handed to whoever counts.

import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'

export interface KubeMetrics {
  requests: Counter<'verb' | 'resource' | 'code'>
  reconciles: Counter<'controller' | 'result'>
  reconcileErrors: Counter<'controller'>
  reconcileSeconds: Histogram<'controller'>
  /** Reads the depth whenever the metrics are collected. */
  trackQueue(controller: string, depth: () => number): void
  untrackQueue(controller: string): void
  watchRestarts: Counter<'resource' | 'reason'>
  cacheObjects: Gauge<'resource'>
  eventsDropped: Counter
  leader: Gauge
}

const RECONCILE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export function createKubeMetrics(registry: Registry): KubeMetrics {
  const registers = [registry]
  return {
    ...queueDepth(registry),
    requests: new Counter({
      name: 'tributary_kube_requests_total',
      help: 'Requests to the Kubernetes API by verb, resource and HTTP status (0: no answer).',
      labelNames: ['verb', 'resource', 'code'],
      registers,
    }),
    reconciles: new Counter({
      name: 'tributary_reconcile_total',
      help: 'Finished reconciles by controller and result (done, requeue, conflict, error).',
      labelNames: ['controller', 'result'],
      registers,
    }),
    reconcileErrors: new Counter({
      name: 'tributary_reconcile_errors_total',
      help: 'Reconciles that threw, conflicts not counted.',
      labelNames: ['controller'],
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: 'tributary_reconcile_duration_seconds',
      help: 'How long one reconcile took.',
      labelNames: ['controller'],
      buckets: RECONCILE_BUCKETS,
      registers,
    }),
    watchRestarts: new Counter({
      name: 'tributary_watch_restarts_total',
      help: 'Times a list or watch had to be taken up again, by resource and reason; planned ends not counted.',
      labelNames: ['resource', 'reason'],
      registers,
    }),
    cacheObjects: new Gauge({
      name: 'tributary_cache_objects',
      help: 'Objects held in memory.',
      labelNames: ['resource'],
      registers,
    }),
    eventsDropped: new Counter({
      name: 'tributary_events_dropped_total',
      help: 'Kubernetes Events that could not be written.',
      registers,
    }),
    leader: new Gauge({
      name: 'tributary_leader',
      help: '1 while this process holds the lease.',
      registers,
    }),
  }
}

function queueDepth(registry: Registry): Pick<KubeMetrics, 'trackQueue' | 'untrackQueue'> {
  const depths = new Map<string, () => number>()
  const gauge = new Gauge({
    name: 'tributary_queue_depth',
    help: 'Keys that are ready and wait for a worker.',
    labelNames: ['controller'],
    registers: [registry],
    collect() {
      for (const [controller, depth] of depths) this.set({ controller }, depth())
    },
  })
  return {
    trackQueue: (controller, depth) => {
      depths.set(controller, depth)
    },
    untrackQueue: (controller) => {
      depths.delete(controller)
      gauge.remove({ controller })
    },
  }
}
