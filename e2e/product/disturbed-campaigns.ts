// The same short campaign twice, once in peace and once under fire: the published models must be the same bits.
// Every update is awaited (quorum = all nodes), so both runs merge the same set.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { Random } from '#federation/training/random.ts'
import { deleteNamespace, EXAMPLE, startCampaign } from './campaign-namespace.ts'
import { modelOf, roundOf, waitForCompletion, waitForRollout } from './campaign.ts'
import { kill, PARTS } from './disturb.ts'
import { edgeNodes, listObjects } from './install.ts'

const MINUTE = 60_000

export interface Outcome {
  /** Digest of the published model: equal digests are equal bits. */
  digest: string
  killed: string[]
}

export async function undisturbed(cluster: Cluster, namespace: string): Promise<Outcome> {
  await begin(cluster, namespace)
  return finish(cluster, namespace, [])
}

/** @param storm seed of what is killed and when; how many kills. */
export async function disturbed(
  cluster: Cluster,
  namespace: string,
  storm: { seed: number; kills: number },
): Promise<Outcome> {
  const random = new Random(storm.seed, KILL_STREAM)
  await begin(cluster, namespace)
  const killed: string[] = []
  for (let index = 0; index < storm.kills; index++) {
    await sleep(500 + uniform(random) * 7_500)
    const part = PARTS[Math.floor(uniform(random) * PARTS.length)]
    const name = part && (await kill(cluster, part, namespace, uniform(random)))
    if (name) killed.push(name)
    if ((await roundOf(cluster, { namespace, name: EXAMPLE }))?.status?.phase === 'Completed') break
  }
  return finish(cluster, namespace, killed)
}

const KILL_STREAM = 4711

async function begin(cluster: Cluster, namespace: string): Promise<void> {
  await deleteNamespace(cluster, namespace)
  const all = edgeNodes(cluster).length
  await startCampaign(cluster, namespace, {
    rounds: 3,
    completion: { minUpdates: all, deadlineSeconds: 240, maxAttempts: 10 },
  })
}

async function finish(cluster: Cluster, namespace: string, killed: string[]): Promise<Outcome> {
  const ref = { namespace, name: EXAMPLE }
  await waitForCompletion(cluster, ref, 15 * MINUTE)
  await waitForRollout(cluster, ref, 5 * MINUTE, 'v2')
  const digest = (await modelOf(cluster, ref))?.status?.versions?.[0]?.digest
  if (digest === undefined) throw new Error(`${namespace}: no version was published`)
  await cluster.kubectl(['delete', 'federatedround', EXAMPLE, `--namespace=${namespace}`, '--timeout=60s'])
  const orphans = await listObjects<{ metadata: { name: string; deletionTimestamp?: string } }>(
    cluster,
    'pods',
    `--namespace=${namespace}`,
  )
  const left = orphans
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .map((pod) => pod.metadata.name)
  if (left.length > 0) throw new Error(`${namespace}: pods were left behind: ${left.join(', ')}`)
  await deleteNamespace(cluster, namespace)
  return { digest, killed }
}

/** In [0, 1), in steps of a thousandth. */
function uniform(random: Random): number {
  return random.below(1000) / 1000
}
