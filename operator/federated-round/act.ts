// Does what was decided about a FederatedRound, one action at a time. Each may be repeated without harm.
import type { HubClient } from '#operator/hub-client/hub-client.ts'
import type { KubeClient } from '#operator/kube/api.ts'
import { ensureCreated } from '#operator/kube/apply.ts'
import { ApiError } from '#operator/kube/errors.ts'
import { pods } from '#operator/kube/resources.ts'
import { setFinalizer } from '#operator/finalizers.ts'
import { federatedRounds } from '#operator/resources.ts'
import { LABELS } from '#crds/names.ts'
import type { FederatedRound } from '#operator/objects.ts'
import { controllerPod } from './controller-pod.ts'
import type { Action, Observation } from './decision.ts'
import { trainingPod } from './pod.ts'
import type { PodSettings } from './pod.ts'

export interface ActContext {
  client: KubeClient
  hub: HubClient
  pods: PodSettings
}

export async function act(context: ActContext, action: Action, { round }: Observation): Promise<void> {
  const { client, hub } = context
  switch (action.kind) {
    case 'addFinalizer':
    case 'removeFinalizer':
      return setFinalizer(client, federatedRounds, round, action.kind === 'addFinalizer')
    case 'createPod':
      // Created, never applied: the API server refuses a second one of its name, which the cache will show soon.
      await ensureCreated(client, pods, trainingPod(round, action.pod, context.pods))
      return
    case 'createController':
      await ensureCreated(client, pods, controllerPod(round, action.controller, context.pods))
      return
    case 'deletePod':
      await client.delete(pods, { namespace: round.namespace, name: action.name }, { uid: action.uid })
      return
    case 'applyCampaign':
      await hub.applyCampaign(action.plan)
      return
    case 'expectNoPods':
      return expectNoPods(client, round)
    case 'deleteCampaign':
      return hub.deleteCampaign(action.uid)
    case 'publishVersion':
      await hub.publishVersion(action.request)
      return
  }
}

/** The caches of rounds and of pods are filled by two watches: a pod may be there that only the other will tell of. */
async function expectNoPods(client: KubeClient, { namespace, name, uid }: FederatedRound): Promise<void> {
  const labelSelector = `${LABELS.federatedRound}=${uid}`
  const { length } = await client.listAll(pods, { namespace, labelSelector })
  if (length === 0) return
  const message = `FederatedRound ${namespace}/${name} is not let go: ${length} of its pods are still there`
  throw new ApiError({ status: 409, reason: 'Conflict', message })
}
