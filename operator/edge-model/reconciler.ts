// An EdgeModel's four parts, put together for the shared frame.
import type { EdgeModelStatus } from '#crds/edge-model.ts'
import type { HubClient } from '#operator/hub-client/hub-client.ts'
import type { KubeClient } from '#operator/kube/api.ts'
import type { Reconciler } from '#operator/reconcile.ts'
import { edgeModels } from '#operator/resources.ts'
import { act } from './act.ts'
import { decide } from './decide.ts'
import type { Action, Observation } from './decision.ts'
import { observe } from './observe.ts'
import type { Sources } from './observe.ts'
import { transitions } from './status.ts'

export function edgeModelReconciler(
  sources: Sources,
  context: { client: KubeClient; hub: HubClient },
): Reconciler<Observation, EdgeModelStatus, Action> {
  return {
    type: edgeModels,
    observe: (ref) => observe(sources, ref),
    subject: (seen) => seen.model,
    decide,
    transitions,
    act: (action, seen) => act(context, action, seen),
  }
}
