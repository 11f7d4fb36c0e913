// Watching a campaign and its model as a user does: through the API server, by status and conditions.
import type { EdgeModelStatus } from '#crds/edge-model.ts'
import type { FederatedRoundSpec, FederatedRoundStatus } from '#crds/federated-round.ts'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { waitFor } from '#e2e/cluster/wait.ts'
import { getObject } from './install.ts'

export interface Ref {
  namespace: string
  name: string
}

export interface RoundObject {
  metadata: { name: string; namespace: string; uid: string; creationTimestamp: string }
  spec: FederatedRoundSpec
  status?: FederatedRoundStatus
}

export interface ModelObject {
  metadata: { name: string; namespace: string; uid: string }
  status?: EdgeModelStatus
}

export function roundOf(cluster: Cluster, ref: Ref): Promise<RoundObject | undefined> {
  return getObject<RoundObject>(cluster, 'federatedrounds.tributary.dev', ref)
}

export function modelOf(cluster: Cluster, ref: Ref): Promise<ModelObject | undefined> {
  return getObject<ModelObject>(cluster, 'edgemodels.tributary.dev', ref)
}

/** Waits until the round's status satisfies `when`; fails at once when the campaign fails and nobody waits for that. */
export async function waitForRound(
  cluster: Cluster,
  ref: Ref,
  wait: {
    what: string
    timeoutMs: number
    when: (status: FederatedRoundStatus) => boolean
    onLook?: (status: FederatedRoundStatus) => void
  },
): Promise<RoundObject> {
  let failure: Error | undefined
  const found = await waitFor(
    { what: `FederatedRound ${ref.name}: ${wait.what}`, timeoutMs: wait.timeoutMs, intervalMs: 500 },
    async () => {
      const round = await roundOf(cluster, ref)
      const status = round?.status
      if (!status) throw new Error('it has no status yet')
      wait.onLook?.(status)
      if (wait.when(status)) return round
      if (status.phase === 'Failed') {
        failure = new Error(`FederatedRound ${ref.name} failed: ${describe(status)}`)
        return round
      }
      throw new Error(describe(status))
    },
  )
  if (failure) throw failure
  return found
}

export function waitForCompletion(
  cluster: Cluster,
  ref: Ref,
  timeoutMs: number,
  onLook?: (status: FederatedRoundStatus) => void,
): Promise<RoundObject> {
  return waitForRound(cluster, ref, {
    what: 'Completed',
    timeoutMs,
    when: (status) => status.phase === 'Completed',
    ...(onLook ? { onLook } : {}),
  })
}

/** Waits until every serving node's agent has loaded the given version (or the latest). */
export async function waitForRollout(
  cluster: Cluster,
  ref: Ref,
  timeoutMs: number,
  version?: string,
): Promise<ModelObject> {
  return waitFor(
    { what: `EdgeModel ${ref.name}: rolled out${version ? ` ${version}` : ''}`, timeoutMs, intervalMs: 500 },
    async () => {
      const model = await modelOf(cluster, ref)
      const ready = model?.status?.conditions?.find((condition) => condition.type === 'Ready')
      const right = version === undefined || model?.status?.latestVersion === version
      if (model && right && ready?.status === 'True') return model
      throw new Error(
        `${model?.status?.latestVersion ?? 'no version'}, ${model?.status?.updated ?? ''}: ${ready?.message ?? 'no status'} ${JSON.stringify(model?.status?.agents ?? [])}`,
      )
    },
  )
}

export function describe(status: FederatedRoundStatus): string {
  const trouble = (status.participants ?? []).map(
    (entry) => `${entry.node} ${entry.reason}: ${entry.message}`,
  )
  const conditions = (status.conditions ?? []).map(
    (entry) => `${entry.type}=${entry.status} ${entry.reason}: ${entry.message}`,
  )
  return [
    `phase ${status.phase ?? ''} round ${status.roundProgress ?? ''} updates ${status.updatesProgress ?? ''}`,
    ...trouble,
    ...conditions,
  ].join('; ')
}
