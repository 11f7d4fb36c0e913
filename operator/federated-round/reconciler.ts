// A FederatedRound's four parts, put together for the shared frame.
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import type { Reconciler } from '#operator/reconcile.ts'
import { federatedRounds } from '#operator/resources.ts'
import { act } from './act.ts'
import type { ActContext } from './act.ts'
import { decide } from './decide.ts'
import type { Action, Observation } from './decision.ts'
import { observe } from './observe.ts'
import type { Sources } from './observe.ts'
import { transitions } from './transitions.ts'

export function federatedRoundReconciler(
  sources: Sources,
  context: ActContext,
): Reconciler<Observation, FederatedRoundStatus, Action> {
  return {
    type: federatedRounds,
    observe: (ref) => observe(sources, ref),
    subject: (seen) => seen.round,
    decide,
    transitions,
    act: (action, seen) => act(context, action, seen),
    // One node's pod that is refused (a quota, Pod Security) must not keep the round from the others.
    // Nor must a hub that cannot be told of the end keep the pods of a campaign that is over.
    isOptional: (action) =>
      ['createPod', 'createController', 'deletePod'].includes(action.kind) ||
      (action.kind === 'applyCampaign' && action.plan.finished),
  }
}
