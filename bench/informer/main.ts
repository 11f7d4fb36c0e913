// What the node cache costs: lists and watches many realistic nodes on a real API server and prints time and memory,
// once with the fields that the operator uses and once with whole objects.
//   node --expose-gc bench/informer/main.ts [--nodes 10000] [--out FILE]
import { parseArgs } from 'node:util'

import { createClock } from '#operator/kube/clock.ts'
import { startInformer } from '#operator/kube/informer.ts'
import { nodes } from '#operator/kube/resources.ts'
import type { Node } from '#operator/kube/resources.ts'
import { createHarness } from '#operator/kube/testing/harness.ts'
import { startFaultyCluster } from '#operator/kube/testing/cluster.ts'
import type { FaultyCluster } from '#operator/kube/testing/cluster.ts'

import { report, row } from '../rows.ts'

const CONCURRENCY = 16
const clock = createClock({ now: Date.now, monotonic: () => performance.now() })

/** About 5 KB as JSON, as a kubelet with a few dozen images reports. */
function aNode(index: number): Node {
  const condition = (type: string, status: 'True' | 'False') => ({
    type,
    status,
    reason: `Kubelet${type}`,
    message: `kubelet reports ${type} for this node`,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  })
  const images = Array.from({ length: 25 }, (_, image) => ({
    names: [`registry.example/team/component-${String(image)}@sha256:${'0123456789abcdef'.repeat(4)}`],
    sizeBytes: 10_000_000 + image,
  }))
  const status = {
    conditions: [
      condition('Ready', 'True'),
      condition('MemoryPressure', 'False'),
      condition('DiskPressure', 'False'),
    ],
    allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
    nodeInfo: { architecture: 'arm64', operatingSystem: 'linux' },
    images,
  }
  const labels = {
    'topology.kubernetes.io/zone': `zone-${String(index % 20)}`,
    'node-role.kubernetes.io/edge': '',
  }
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: `edge-${String(index)}`, labels }, status }
}

function lean({ apiVersion, kind, metadata, spec, status }: Node): Node {
  const { name, uid, resourceVersion, labels } = metadata
  const ready = status?.conditions
    ?.filter(({ type }) => type === 'Ready')
    .map(({ type, status: value }) => ({ type, status: value }))
  const kept = { conditions: ready, allocatable: status?.allocatable }
  return { apiVersion, kind, metadata: { name, uid, resourceVersion, labels }, spec, status: kept }
}

async function forEachNode(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next
      next += 1
      await work(index)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
}

function heapMegabytes(): number {
  if (!globalThis.gc) throw new Error('run with --expose-gc')
  globalThis.gc()
  return process.memoryUsage().heapUsed / 2 ** 20
}

async function measure(cluster: FaultyCluster, name: string, keep: (node: Node) => Node): Promise<number> {
  const { random, log, metrics } = createHarness(clock)
  const heapBefore = heapMegabytes()
  const startedAt = performance.now()
  const informer = startInformer({ client: cluster.direct, type: nodes, keep, clock, random, log, metrics })
  await informer.cache.whenSynced(AbortSignal.timeout(120_000))
  const listMs = performance.now() - startedAt
  const heapListed = heapMegabytes()
  let events = 0
  informer.cache.subscribe(() => (events += 1))
  const count = informer.cache.size
  const cpuBefore = process.cpuUsage()
  await forEachNode(count, (index) =>
    cluster.direct.mergePatch(
      nodes,
      { name: `edge-${String(index)}` },
      { metadata: { labels: { turn: name } } },
    ),
  )
  while (events < count) await new Promise((resolve) => setTimeout(resolve, 50))
  const cpu = process.cpuUsage(cpuBefore)
  const heap = heapMegabytes() - heapBefore
  const figures = {
    cache: name,
    nodes: count,
    'list ms': Math.round(listMs),
    'heap MB after list': (heapListed - heapBefore).toFixed(1),
    'heap MB after events': heap.toFixed(1),
    'µs CPU a patch and its event': Math.round((cpu.user + cpu.system) / count),
    'RSS MB': Math.round(process.memoryUsage().rss / 2 ** 20),
  }
  console.table([figures])
  await informer.stop()
  return heap
}

const { values } = parseArgs({
  options: { nodes: { type: 'string', default: '10000' }, out: { type: 'string' } },
})
const count = Number(values.nodes)
const cluster = await startFaultyCluster()
try {
  await forEachNode(count, (index) => cluster.direct.create(nodes, aNode(index)))
  const small = await measure(cluster, 'lean', lean)
  const large = await measure(cluster, 'whole', (node) => node)
  report({
    rows: [
      row({
        name: `heap of the node cache at ${count} nodes, against whole objects`,
        value: large / small,
        goal: 3,
        note: `${small.toFixed(1)} MB against ${large.toFixed(1)} MB`,
      }),
    ],
  })
} finally {
  await cluster.stop()
}
