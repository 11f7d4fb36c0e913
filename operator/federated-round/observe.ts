// Reads everything that a decision about a FederatedRound needs into one value: from the caches, and from the hub.
// What is missing is undefined; a silent hub is a value, too.
import { ask } from '#operator/hub-client/from-hub.ts'
import type { HubClient } from '#operator/hub-client/hub-client.ts'
import type { ReadonlyCache } from '#operator/kube/cache.ts'
import type { Selection } from '#operator/kube/api.ts'
import type { Node, Pod } from '#operator/kube/resources.ts'
import type { ObjectRef } from '#operator/kube/types.ts'
import { COMPONENTS, LABELS } from '#crds/names.ts'
import { ModelState_Phase as Phase } from '#federation/wire/generated/tributary.ts'
import type { ModelState } from '#federation/wire/generated/tributary.ts'
import type { DeviceProfileResource, EdgeModelResource, FederatedRoundResource } from '#operator/resources.ts'
import { controllerView, nodeView, observedOf, podView } from '#operator/views.ts'
import type { FederatedRound } from '#operator/objects.ts'
import type { ModelView, Observation } from './decision.ts'

export interface Sources {
  rounds: ReadonlyCache<FederatedRoundResource>
  models: ReadonlyCache<EdgeModelResource>
  profiles: ReadonlyCache<DeviceProfileResource>
  nodes: ReadonlyCache<Node>
  pods: ReadonlyCache<Pod>
  /** Pods as the API server has them now. */
  listPods: (selection: Selection) => Promise<Pod[]>
  hub: HubClient
  now: () => number
}

export async function observe(sources: Sources, ref: ObjectRef): Promise<Observation | undefined> {
  const resource = sources.rounds.get(ref)
  if (!resource) return undefined
  const round = observedOf(resource)
  const named = round.spec.participants.profiles.map((name) => ({
    name,
    profile: sources.profiles.get({ namespace: round.namespace, name }),
  }))
  const pods = sources.pods.list((pod) => pod.metadata.labels?.[LABELS.federatedRound] === round.uid)
  const isController = ({ metadata }: Pod): boolean =>
    metadata.labels?.[LABELS.component] === COMPONENTS.controller
  const controllers = pods.filter(isController)
  const others = await unseenControllers(sources, round, controllers)
  const model = sources.models.get({ namespace: round.namespace, name: round.spec.modelRef.name })
  return {
    now: sources.now(),
    round,
    model: model && !model.metadata.deletionTimestamp ? await modelView(sources.hub, model) : undefined,
    profiles: named.flatMap(({ profile }) => (profile ? [observedOf(profile)] : [])),
    missingProfiles: named.filter(({ profile }) => !profile).map(({ name }) => name),
    nodes: sources.nodes.list().map(nodeView),
    pods: pods.filter((pod) => !isController(pod)).map(podView),
    controllers: [...controllers, ...others].map(controllerView),
    campaign: await ask(() => sources.hub.getCampaign(round.uid)),
  }
}

/**
 * Pods of edge controllers that the status knows by their UID and the cache does not show. The caches of rounds and of pods are filled
 * by two watches; a controller that only the slower one has not told of must not count as deleted, as another would take over from it.
 */
async function unseenControllers(
  { listPods }: Sources,
  { namespace, uid, status }: FederatedRound,
  shown: readonly Pod[],
): Promise<Pod[]> {
  const names = new Set(shown.map(({ metadata }) => metadata.name))
  const unseen = (status?.tiers ?? []).filter(({ pod, podUid }) => podUid !== undefined && !names.has(pod))
  if (unseen.length === 0) return []
  const wanted = new Set(unseen.map(({ pod }) => pod))
  const found = await listPods({ namespace, labelSelector: `${LABELS.federatedRound}=${uid}` })
  return found.filter(({ metadata }) => wanted.has(metadata.name))
}

async function modelView(hub: HubClient, model: EdgeModelResource): Promise<ModelView> {
  const uid = model.metadata.uid ?? ''
  const answer = await ask(() => hub.getModel(uid))
  if (answer.kind === 'unreachable')
    return { uid, admitted: 'NotYet', message: answer.message, agents: undefined }
  const { state } = answer
  return { uid, admitted: admittedOf(state), message: messageOf(state), agents: state.agents }
}

function admittedOf(state: ModelState): ModelView['admitted'] {
  if (state.phase === Phase.READY) return 'Yes'
  return state.phase === Phase.REFUSED ? 'Refused' : 'NotYet'
}

function messageOf(state: ModelState): string {
  return state.message === '' ? 'the hub is reading the file' : `${state.reason}: ${state.message}`
}
