// The hub's Prometheus metrics. No label takes a value that a participant chooses.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export interface HubMetrics {
  readonly uploadsEnded: Counter<'outcome'>
  readonly bytesReceived: Counter
  readonly bytesSent: Counter
  readonly roundsEnded: Counter<'outcome'>
  readonly mergeSeconds: Histogram
  readonly streams: Gauge<'service'>
  readonly roundsByPhase: Gauge<'phase'>
}

/** @param countPhases asked at each scrape */
export function hubMetrics(registry: Registry, countPhases: () => ReadonlyMap<string, number>): HubMetrics {
  const registers = [registry]
  return {
    uploadsEnded: new Counter({
      name: 'tributary_hub_uploads_total',
      help: 'Upload requests by how they ended',
      labelNames: ['outcome'],
      registers,
    }),
    bytesReceived: new Counter({
      name: 'tributary_hub_received_bytes_total',
      help: 'Bytes of updates received',
      registers,
    }),
    bytesSent: new Counter({
      name: 'tributary_hub_sent_bytes_total',
      help: 'Bytes of blobs sent',
      registers,
    }),
    roundsEnded: new Counter({
      name: 'tributary_hub_rounds_total',
      help: 'Rounds that ended: done, or an attempt short of its quorum',
      labelNames: ['outcome'],
      registers,
    }),
    mergeSeconds: new Histogram({
      name: 'tributary_hub_merge_seconds',
      help: 'Time to merge the updates of a round',
      buckets: [0.01, 0.05, 0.25, 1, 5, 20, 60, 300],
      registers,
    }),
    streams: new Gauge({
      name: 'tributary_hub_streams',
      help: 'Open gRPC streams',
      labelNames: ['service'],
      registers,
    }),
    roundsByPhase: new Gauge({
      name: 'tributary_hub_rounds',
      help: 'Current rounds by phase',
      labelNames: ['phase'],
      registers,
      collect() {
        this.reset()
        for (const [phase, count] of countPhases()) this.set({ phase }, count)
      },
    }),
  }
}
