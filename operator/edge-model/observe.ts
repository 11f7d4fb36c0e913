// Reads everything that a decision about an EdgeModel needs: from the caches, and from the hub.
import { ask } from '#operator/hub-client/from-hub.ts'
import type { HubClient } from '#operator/hub-client/hub-client.ts'
import type { ReadonlyCache } from '#operator/kube/cache.ts'
import type { Node } from '#operator/kube/resources.ts'
import type { ObjectRef } from '#operator/kube/types.ts'
import type { EdgeModelResource } from '#operator/resources.ts'
import { nodeView, observedOf } from '#operator/views.ts'
import type { Observation } from './decision.ts'

export interface Sources {
  models: ReadonlyCache<EdgeModelResource>
  nodes: ReadonlyCache<Node>
  hub: HubClient
  now: () => number
}

export async function observe(sources: Sources, ref: ObjectRef): Promise<Observation | undefined> {
  const resource = sources.models.get(ref)
  if (!resource) return undefined
  const model = observedOf(resource)
  const nodes = sources.nodes.list().map(nodeView)
  const hub = await ask(() => sources.hub.getModel(model.uid))
  return { now: sources.now(), model, nodes, hub }
}
