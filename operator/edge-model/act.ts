// Does what was decided about an EdgeModel, one action at a time. Each may be repeated without harm.
import { setFinalizer } from '#operator/finalizers.ts'
import type { HubClient } from '#operator/hub-client/hub-client.ts'
import type { KubeClient } from '#operator/kube/api.ts'
import { edgeModels } from '#operator/resources.ts'
import type { Action, Observation } from './decision.ts'

export async function act(
  context: { client: KubeClient; hub: HubClient },
  action: Action,
  { model }: Observation,
): Promise<void> {
  switch (action.kind) {
    case 'addFinalizer':
    case 'removeFinalizer':
      return setFinalizer(context.client, edgeModels, model, action.kind === 'addFinalizer')
    case 'applyModel':
      await context.hub.applyModel(action.plan)
      return
    case 'deleteModel':
      return context.hub.deleteModel(action.uid)
  }
}
