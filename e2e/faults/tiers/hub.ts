/*
 * What can be known of the hub from outside: the bytes that it counts, and what lies on its volume.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { cloudNode, HUB_FOLDER, listObjects, NAMESPACE } from '#e2e/product/install.ts'
import { ResultRecord, StartRecord, VersionRecord } from '#federation/tier/store/records.ts'

/** The chart's default. */
const HEALTH_PORT = 8080

/** Bytes since the hub's process began. */
export interface Traffic {
  /** Of updates. */
  received: number
  /** Of models, graphs and parameters. */
  sent: number
}

/** What a campaign has made that nodes fetch. */
export interface Artefacts {
  /** Bytes of all of them together, each once. */
  bytes: number
  count: number
  /** Those that the last round was merged to. */
  parameters: Float32Array
}

export async function trafficOf(cluster: Cluster): Promise<Traffic> {
  const [pod] = await listObjects<{ status: { podIP: string } }>(
    cluster,
    'pods',
    `--namespace=${NAMESPACE}`,
    '--selector=app.kubernetes.io/component=hub',
  )
  if (!pod) throw new Error(`no pod of the hub in namespace ${NAMESPACE}`)
  const script = `fetch('http://${pod.status.podIP}:${HEALTH_PORT}/metrics').then((it) => it.text()).then(console.log)`
  const text = await cluster.execOnNode(cloudNode(cluster), [process.execPath, '--eval', script])
  return {
    received: counter(text, 'tributary_hub_received_bytes_total'),
    sent: counter(text, 'tributary_hub_sent_bytes_total'),
  }
}

function counter(metrics: string, name: string): number {
  const line = metrics.split('\n').find((each) => each.startsWith(`${name} `))
  if (line === undefined) throw new Error(`the hub's metrics have no ${name}`)
  return Number(line.slice(name.length))
}

/** @param campaign UID of the FederatedRound; @param model UID of the EdgeModel, of which it published version 2 */
export async function artefactsOf(
  cluster: Cluster,
  { campaign, model, rounds }: { campaign: string; model: string; rounds: number },
): Promise<Artefacts> {
  const volume = await cluster.hostFolder(cloudNode(cluster), HUB_FOLDER)
  const read = async (...path: string[]): Promise<unknown> =>
    JSON.parse(await readFile(join(volume, ...path), 'utf8')) as unknown
  const start = StartRecord.parse(await read('campaigns', campaign, 'start.json'))
  const version = VersionRecord.parse(await read('models', model, 'versions', '2.json'))
  const merged: { digest: string; size: number }[] = []
  for (let round = 1; round <= rounds; round++) {
    const record = await read('campaigns', campaign, 'rounds', String(round), 'result.json')
    merged.push(ResultRecord.parse(record).parameters)
  }
  const { manifest, trainingStep, evaluation } = start.graphs
  const graphs = [manifest, trainingStep, evaluation]
  const all = [...graphs, start.parameters, ...merged, version, version.manifest]
  const last = merged.at(-1)?.digest.replace(/^sha256:/, '') ?? ''
  return {
    bytes: all.reduce((sum, { size }) => sum + size, 0),
    count: all.length,
    parameters: new Float32Array(
      Uint8Array.from(await readFile(join(volume, 'blobs', 'sha256', last))).buffer,
    ),
  }
}
