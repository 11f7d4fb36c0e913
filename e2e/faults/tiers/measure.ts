/*
 * One campaign of the digits on every edge node, with all of their updates in every round, and what it took.
 */
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { deleteNamespace, EXAMPLE, placeModel, startRound } from '#e2e/product/campaign-namespace.ts'
import { waitForCompletion, waitForRollout } from '#e2e/product/campaign.ts'
import { edgeNodes } from '#e2e/product/install.ts'
import { type Artefacts, artefactsOf, type Traffic, trafficOf } from './hub.ts'

const MINUTE = 60_000

export interface Measured {
  /** Fewest updates that a round was merged of. */
  updates: number
  artefacts: Artefacts
  /** Between the campaign's beginning and the last agent that serves its version. */
  traffic: Traffic
}

/** @param hierarchy spec.hierarchy of the FederatedRound */
export async function measure(
  cluster: Cluster,
  { namespace, rounds, hierarchy }: { namespace: string; rounds: number; hierarchy: object },
): Promise<Measured> {
  await deleteNamespace(cluster, namespace)
  await placeModel(cluster, namespace)
  const ref = { namespace, name: EXAMPLE }
  const { metadata: model } = await waitForRollout(cluster, ref, 10 * MINUTE, 'v1')
  const before = await trafficOf(cluster)
  await startRound(cluster, namespace, {
    rounds,
    hierarchy,
    completion: { minUpdates: edgeNodes(cluster).length, deadlineSeconds: 600, maxAttempts: 10 },
  })
  const round = await waitForCompletion(cluster, ref, 30 * MINUTE)
  await waitForRollout(cluster, ref, 10 * MINUTE, 'v2')
  const after = await trafficOf(cluster)
  const ids = { campaign: round.metadata.uid, model: model.uid, rounds }
  const artefacts = await artefactsOf(cluster, ids)
  await deleteNamespace(cluster, namespace)
  return {
    updates: Math.min(...(round.status?.history ?? []).map(({ updates }) => updates)),
    artefacts,
    traffic: { received: after.received - before.received, sent: after.sent - before.sent },
  }
}
