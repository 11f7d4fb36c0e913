// Campaigns that the hub keeps for a FederatedRound that is gone: its finalizer was taken away by force, or the API server's data were
// set back. Nobody would ever tell the hub to free their updates. A cache may lag behind the truth, so the API server is asked.
import type { Change } from '#federation/wire/generated/tributary.ts'
import type { HubClient } from './hub-client/hub-client.ts'
import type { KubeClient } from './kube/api.ts'
import type { ReconcileResult } from './kube/controller.ts'
import type { Key, Logger } from './kube/types.ts'
import { federatedRounds } from './resources.ts'

export interface OrphanContext {
  client: KubeClient
  hub: HubClient
  log: Logger
}

/** Key of a campaign in a queue; names of Kubernetes hold no slash. */
export function orphanKey({ namespace, name, uid }: Pick<Change, 'namespace' | 'name' | 'uid'>): Key {
  return [namespace, name, uid].join('/')
}

/** Has the hub drop the campaign, unless its FederatedRound exists: then the reconciler sees to it. */
export async function dropOrphan({ client, hub, log }: OrphanContext, key: Key): Promise<ReconcileResult> {
  const [namespace = '', name = '', uid = ''] = key.split('/')
  const found = await client.get(federatedRounds, { namespace, name })
  if (found?.metadata.uid === uid) return {}
  log.info({ namespace, name, uid }, 'the FederatedRound of a campaign is gone: the hub drops the campaign')
  await hub.deleteCampaign(uid)
  return {}
}
