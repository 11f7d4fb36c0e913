// The part of the world that is not the operator: what really is in the namespace, watched straight at the API server,
// and a kubelet for its pods, which binds, starts and ends them.
import { LABELS } from '#crds/names.ts'
import type { KubeClient } from '#operator/kube/api.ts'
import type { ReadonlyCache } from '#operator/kube/cache.ts'
import type { Clock } from '#operator/kube/clock.ts'
import { startInformer } from '#operator/kube/informer.ts'
import type { Informer } from '#operator/kube/informer.ts'
import { pods } from '#operator/kube/resources.ts'
import type { Pod } from '#operator/kube/resources.ts'
import { createHarness } from '#operator/kube/testing/harness.ts'
import { resourceType } from '#operator/kube/types.ts'
import type { KubeObject, ResourceType } from '#operator/kube/types.ts'
import { deviceProfiles, edgeModels, federatedRounds } from '#operator/resources.ts'
import type { DeviceProfileResource, EdgeModelResource, FederatedRoundResource } from '#operator/resources.ts'
import { podView } from '#operator/views.ts'

export interface Truth {
  rounds: ReadonlyCache<FederatedRoundResource>
  models: ReadonlyCache<EdgeModelResource>
  profiles: ReadonlyCache<DeviceProfileResource>
  pods: ReadonlyCache<Pod>
}

const bindings = resourceType<KubeObject & { target?: object }>({
  apiVersion: 'v1',
  kind: 'Binding',
  plural: 'bindings',
  namespaced: true,
})

export class World {
  readonly truth: Truth
  /** How many objects of each kind and place were seen to appear and to go, by UID. */
  readonly made = new Map<string, Set<string>>()
  readonly gone = new Map<string, Set<string>>()
  readonly #direct: KubeClient
  readonly #namespace: string
  readonly #informers: Informer<never>[] = []
  #kubelet: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(direct: KubeClient, namespace: string, clock: Clock) {
    this.#direct = direct
    this.#namespace = namespace
    const harness = createHarness(clock)
    const watch = <T extends KubeObject>(type: ResourceType<T>): ReadonlyCache<T> => {
      const informer = startInformer({ ...harness, client: direct, type, namespace })
      this.#informers.push(informer as unknown as Informer<never>)
      this.#count(informer.cache)
      return informer.cache
    }
    this.truth = {
      rounds: watch(federatedRounds),
      models: watch(edgeModels),
      profiles: watch(deviceProfiles),
      pods: watch(pods),
    }
    this.truth.pods.subscribe(({ type, object }) => {
      if (type !== 'deleted') this.#attend(object)
    })
  }

  async ready(): Promise<void> {
    const all = Object.values(this.truth) as ReadonlyCache<never>[]
    await Promise.all(all.map((cache) => cache.whenSynced(AbortSignal.timeout(30_000))))
  }

  /** Pods of the round that live. */
  running(): Pod[] {
    return this.truth.pods.list(
      (pod) => pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined,
    )
  }

  /** The program of the pod in this place ends badly. */
  async fail(place: string): Promise<void> {
    const pod = this.running().find((each) => placeOf(each) === place)
    if (!pod) throw new Error(`there runs no ${place}`)
    await this.#setPhase(pod, 'Failed')
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#informers.map((informer) => informer.stop()))
    await this.#kubelet
  }

  /** One thing after another, as one kubelet would; what is refused is done again with the pod's next change. */
  #attend(pod: Pod): void {
    this.#kubelet = this.#kubelet
      .then(() => (this.#stopped ? undefined : this.#care(pod)))
      .catch(() => undefined)
  }

  async #care(pod: Pod): Promise<void> {
    const { name, uid, deletionTimestamp } = pod.metadata
    const ref = { namespace: this.#namespace, name }
    if (deletionTimestamp !== undefined) {
      await this.#direct.delete(pods, ref, { uid, gracePeriodSeconds: 0 })
    } else if (!pod.spec?.nodeName) {
      const target = { apiVersion: 'v1', kind: 'Node', name: podView(pod).node }
      await this.#direct.create(bindings, { apiVersion: 'v1', kind: 'Binding', metadata: ref, target })
    } else if (pod.status?.phase === 'Pending') {
      await this.#setPhase(pod, 'Running')
    }
  }

  async #setPhase(pod: Pod, phase: 'Running' | 'Failed'): Promise<void> {
    const { name, namespace, uid } = pod.metadata
    const metadata = { name, namespace, uid }
    await this.#direct.applyStatus(pods, { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase } })
  }

  #count<T extends KubeObject>(cache: ReadonlyCache<T>): void {
    cache.subscribe(({ type, object }) => {
      if (type === 'modified') return
      const counted = type === 'added' ? this.made : this.gone
      const key = placeOf(object)
      const uids = counted.get(key) ?? new Set()
      counted.set(key, uids.add(object.metadata.uid ?? ''))
    })
  }
}

/** A training pod is known by its node, an edge controller by its zone and epoch; everything else by its name. */
export function placeOf(object: KubeObject): string {
  const { [LABELS.zone]: zone, [LABELS.epoch]: epoch } = object.metadata.labels ?? {}
  if (zone !== undefined) return `Controller of ${zone}, epoch ${epoch}`
  const isTraining = object.metadata.labels?.[LABELS.federatedRound] !== undefined
  return isTraining ? `Pod of ${podView(object).node}` : `${object.kind} ${object.metadata.name}`
}
