// The operator: caches of everything it reads, one controller a kind, and the hub's word about what changed. Only
// the leader reconciles; every replica keeps its caches warm.
import type { Registry } from 'prom-client'
import { LABELS } from '#crds/names.ts'
import { Change_Kind as ChangeKind } from '#federation/wire/generated/tributary.ts'
import type { Change } from '#federation/wire/generated/tributary.ts'
import { deviceProfileReconciler } from './device-profile/reconciler.ts'
import { edgeModelReconciler } from './edge-model/reconciler.ts'
import { federatedRoundReconciler } from './federated-round/reconciler.ts'
import type { PodSettings } from './federated-round/pod.ts'
import type { HubClient } from './hub-client/hub-client.ts'
import type { KubeClient, Selection } from './kube/api.ts'
import type { ReadonlyCache } from './kube/cache.ts'
import type { Clock } from './kube/clock.ts'
import { runController } from './kube/controller.ts'
import type { Controller, ReconcileResult } from './kube/controller.ts'
import { createEventRecorder } from './kube/events.ts'
import { startInformer } from './kube/informer.ts'
import type { Informer } from './kube/informer.ts'
import type { Leadership } from './kube/lease.ts'
import type { KubeMetrics } from './kube/metrics.ts'
import { createWorkQueue } from './kube/queue.ts'
import type { WorkQueue } from './kube/queue.ts'
import { nodes, pods } from './kube/resources.ts'
import type { Node, Pod } from './kube/resources.ts'
import { keyOf } from './kube/types.ts'
import { dropOrphan, orphanKey } from './orphans.ts'
import type { Key, KubeObject, Logger, Random, ResourceType } from './kube/types.ts'
import { reconcile } from './reconcile.ts'
import type { Reconciler } from './reconcile.ts'
import { deviceProfiles, edgeModels, federatedRounds } from './resources.ts'
import type { DeviceProfileResource, EdgeModelResource, FederatedRoundResource } from './resources.ts'
import { sameNode, smallNode, smallPod } from './views.ts'

export interface OperatorOptions {
  client: KubeClient
  hub: HubClient
  podSettings: PodSettings
  /** Name of this replica, for events. */
  instance: string
  clock: Clock
  random: Random
  log: Logger
  metrics: KubeMetrics
  registry: Registry
}

export interface Caches {
  rounds: ReadonlyCache<FederatedRoundResource>
  models: ReadonlyCache<EdgeModelResource>
  profiles: ReadonlyCache<DeviceProfileResource>
  nodes: ReadonlyCache<Node>
  pods: ReadonlyCache<Pod>
}

export interface OperatorCaches {
  caches: Caches
  stop: () => Promise<void>
}

export function allOf(caches: Caches): ReadonlyCache<never>[] {
  return Object.values(caches) as ReadonlyCache<never>[]
}

interface Queues {
  rounds: WorkQueue
  models: WorkQueue
  profiles: WorkQueue
  orphans: WorkQueue
}

interface Running {
  queue: WorkQueue
  controller: Controller
}

/** Starts the watches; leadership is not needed for reading. */
export function startCaches(options: OperatorOptions): OperatorCaches {
  const started: Informer<never>[] = []
  const inform = <T extends KubeObject>(
    type: ResourceType<T>,
    extra: { keep?: (object: T) => T; labelSelector?: string } = {},
  ): ReadonlyCache<T> => {
    const informer = startInformer({ ...options, type, ...extra })
    started.push(informer as unknown as Informer<never>)
    return informer.cache
  }
  return {
    caches: {
      rounds: inform(federatedRounds),
      models: inform(edgeModels),
      profiles: inform(deviceProfiles),
      nodes: inform(nodes, { keep: smallNode }),
      pods: inform(pods, { keep: smallPod, labelSelector: `${LABELS.managedBy}=tributary` }),
    },
    stop: async () => {
      await Promise.all(started.map((informer) => informer.stop()))
    },
  }
}

/** Reconciles until the leadership is lost or `stop` is called. */
export async function lead(
  options: OperatorOptions,
  caches: Caches,
  leadership: Leadership,
): Promise<{ stop: () => Promise<void> }> {
  const { signal } = leadership
  await Promise.all(allOf(caches).map((cache) => cache.whenSynced(signal)))
  const client = options.client.guardedBy(leadership)
  const events = createEventRecorder({ ...options, client, controller: 'tributary.dev/operator' })
  const sources = {
    ...{ ...caches, hub: options.hub, now: () => options.clock.now() },
    listPods: (selection: Selection) => client.listAll(pods, selection),
  }
  const context = { client, hub: options.hub, pods: options.podSettings }
  const work = (name: string, reconcileKey: (key: Key) => Promise<ReconcileResult>): Running => {
    const queue = createWorkQueue(options)
    return {
      queue,
      controller: runController({ ...options, name, queue, reconcile: reconcileKey, concurrency: 4 }),
    }
  }
  const run = <Seen, Status extends object, Action>(
    name: string,
    reconciler: Reconciler<Seen, Status, Action>,
  ): Running => work(name, (key) => reconcile(reconciler, { client, events }, key))
  const rounds = run('federatedround', federatedRoundReconciler(sources, context))
  const models = run('edgemodel', edgeModelReconciler(sources, context))
  const profiles = run('deviceprofile', deviceProfileReconciler(sources))
  const orphans = work('orphans', (key) => dropOrphan({ ...options, client }, key))
  const queues = {
    ...{ rounds: rounds.queue, models: models.queue, profiles: profiles.queue },
    orphans: orphans.queue,
  }
  const unsubscribe = connect(caches, queues)
  // Ends before the leadership does: the lease is given back only when nothing works under it any more.
  const stopping = new AbortController()
  const watching = options.hub.watch(
    (change) => {
      enqueueChange(change, caches, queues)
    },
    AbortSignal.any([signal, stopping.signal]),
  )
  return {
    stop: async () => {
      unsubscribe()
      stopping.abort()
      await Promise.all([rounds, models, profiles, orphans].map(({ controller }) => controller.stop()))
      await events.flush()
      await watching
    },
  }
}

/** Whose turn it is when something changed. Returns the function that ends it. */
function connect(caches: Caches, queues: Queues): () => void {
  const enqueueAll = (cache: ReadonlyCache<KubeObject>, queue: WorkQueue): void => {
    for (const object of cache.values()) queue.add(keyOf(object.metadata))
  }
  const everything = (): void => {
    enqueueAll(caches.rounds, queues.rounds)
    enqueueAll(caches.models, queues.models)
    enqueueAll(caches.profiles, queues.profiles)
  }
  everything()
  const subscriptions = [
    caches.rounds.subscribe(({ key }) => {
      queues.rounds.add(key)
    }),
    caches.models.subscribe(({ key, object }) => {
      queues.models.add(key)
      enqueueRoundsOf(caches, queues, object.metadata)
    }),
    caches.profiles.subscribe(({ key }) => {
      queues.profiles.add(key)
      enqueueAll(caches.rounds, queues.rounds)
    }),
    caches.nodes.subscribe((change) => {
      if (change.type !== 'modified' || !sameNode(change.previous, change.object)) everything()
    }),
    caches.pods.subscribe(({ object }) => {
      const owner = object.metadata.ownerReferences?.find((reference) => reference.kind === 'FederatedRound')
      if (owner) queues.rounds.add(keyOf({ namespace: object.metadata.namespace, name: owner.name }))
    }),
  ]
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe()
  }
}

function enqueueChange(change: Change, caches: Caches, queues: Queues): void {
  const ref = { namespace: change.namespace, name: change.name }
  if (change.kind === ChangeKind.CAMPAIGN) {
    const known = caches.rounds.get(ref)
    if (known) queues.rounds.add(keyOf(ref))
    if (known?.metadata.uid !== change.uid) queues.orphans.add(orphanKey(change))
    return
  }
  if (caches.models.get(ref)) queues.models.add(keyOf(ref))
  enqueueRoundsOf(caches, queues, ref)
}

function enqueueRoundsOf(
  caches: Caches,
  queues: Queues,
  model: { namespace?: string | undefined; name: string },
): void {
  for (const round of caches.rounds.values()) {
    const { metadata, spec } = round
    if (metadata.namespace === model.namespace && spec.modelRef.name === model.name)
      queues.rounds.add(keyOf(metadata))
  }
}
