// A campaign of the digits example in a namespace of its own: model, profile and round from the example's manifests,
// so that several can run beside or after each other and start from the same version 1.
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { applyManifests, applyModelFile } from './example.ts'
import type { Manifest } from './example.ts'
import { namespaceManifest } from './install.ts'

export const EXAMPLE = 'digits'

/** @param spec replaces fields of the FederatedRound's spec; `training` is merged with the example's. */
export async function startCampaign(
  cluster: Cluster,
  namespace: string,
  spec: Record<string, unknown> = {},
): Promise<void> {
  await placeModel(cluster, namespace)
  await startRound(cluster, namespace, spec)
}

/** The namespace with its model, which agents begin to serve, and the profile of its nodes. */
export async function placeModel(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.kubectl(['apply', '--filename=-'], { input: JSON.stringify(namespaceManifest(namespace)) })
  await applyModelFile(cluster, EXAMPLE, namespace)
  await applyManifests(cluster, EXAMPLE, namespace, { files: ['device-profile', 'edge-model'] })
}

/** @param spec as of startCampaign */
export async function startRound(
  cluster: Cluster,
  namespace: string,
  spec: Record<string, unknown>,
): Promise<void> {
  const change = (round: Manifest): Manifest => withSpec(round, spec)
  await applyManifests(cluster, EXAMPLE, namespace, { files: ['federated-round'], change })
}

function withSpec(round: Manifest, spec: Record<string, unknown>): Manifest {
  const training = { ...(round.spec['training'] as object), ...(spec['training'] as object | undefined) }
  return { ...round, spec: { ...round.spec, ...spec, training } }
}

/** Deletes the namespace and all that is in it, and waits until it is gone. */
export async function deleteNamespace(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--timeout=180s'], {
    timeoutMs: 200_000,
  })
}
