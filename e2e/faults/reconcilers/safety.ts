// What must hold at every moment, not only at the end: judged by what the API server committed for the operator, in the
// order in which it answered.
import { FINALIZER, LABELS } from '#crds/names.ts'
import type { ProxiedRequest } from '#operator/kube/testing/fault-rules.ts'
import type { KubeObject } from '#operator/kube/types.ts'
import type { ScriptedHub } from '#operator/testing/scripted-hub.ts'
import { parsePath } from './tracker.ts'

interface Body {
  kind?: string
  metadata?: Partial<KubeObject['metadata']>
  preconditions?: { uid?: string }
  status?: { phase?: string; tiers?: { zone: string; epoch: number }[] }
  items?: KubeObject[] | null
}

const TRAINS = ['Training', 'Merging', 'Evaluating']

export class Safety {
  readonly #hub: ScriptedHub
  readonly violations = new Set<string>()
  /** UIDs of objects that were seen with our finalizer. */
  readonly #held = new Set<string>()
  /** What the status of each object says in its newest version so far, by UID: a plan may show an older one. */
  readonly #phases = new Map<string, { version: number; phase: string }>()
  /** The latest epoch of each zone that a status was seen to tell of, by the UID of its object and the zone. */
  readonly #epochs = new Map<string, number>()
  /** Pods that were created and whose deletion was not committed. */
  readonly #pods = new Set<string>()

  constructor(hub: ScriptedHub) {
    this.#hub = hub
  }

  answered(request: ProxiedRequest, answer: { status: number; body: Buffer }): void {
    if (answer.status >= 300) return
    const committed = parsed(answer.body)
    for (const object of (committed.items ?? [committed]) as Body[]) this.seen(object)
    const { resource, name, subresource } = parsePath(request.path)
    if (request.method === 'GET' || resource === 'events') return
    const sent = parsed(request.body)
    if (resource === 'pods') this.#podWritten(request.method, name, sent)
    if (subresource === 'status' && sent.metadata?.resourceVersion === undefined) {
      this.violations.add(`a status of ${resource} was written whatever had changed meanwhile`)
    }
    if (subresource === '' && committed.metadata?.deletionTimestamp !== undefined) this.#letGo(committed)
  }

  /** The operator was shown this object. */
  seen({ metadata, status }: Body): void {
    const uid = metadata?.uid ?? ''
    if (metadata?.finalizers?.includes(FINALIZER)) this.#held.add(uid)
    for (const { zone, epoch } of status?.tiers ?? []) {
      const key = `${uid}/${zone}`
      this.#epochs.set(key, Math.max(epoch, this.#epochs.get(key) ?? 0))
    }
    const version = Number(metadata?.resourceVersion)
    if (status?.phase === undefined || version < (this.#phases.get(uid)?.version ?? 0)) return
    this.#phases.set(uid, { version, phase: status.phase })
  }

  /** The hub is about to hear of this object, and perhaps to open a round. */
  planned(uid: string, opens: boolean): void {
    if (!this.#held.has(uid)) this.violations.add('the hub heard of an object that had no finalizer yet')
    if (opens && !TRAINS.includes(this.#phases.get(uid)?.phase ?? ''))
      this.violations.add('the hub heard of a round before the status said that there is one')
  }

  #podWritten(method: string, name: string, sent: Body): void {
    if (method === 'POST') this.#podCreated(sent)
    if (method !== 'DELETE') return
    this.#pods.delete(name)
    if (sent.preconditions?.uid === undefined)
      this.violations.add('a pod was deleted whichever one had the name by then')
  }

  #podCreated({ metadata }: Body): void {
    this.#pods.add(metadata?.name ?? '')
    const owner = metadata?.ownerReferences?.find(({ controller }) => controller === true)
    if (!owner) this.violations.add('a pod was created that the garbage collector would never find')
    const { [LABELS.zone]: zone, [LABELS.epoch]: epoch } = metadata?.labels ?? {}
    if (zone !== undefined && Number(epoch) > (this.#epochs.get(`${owner?.uid}/${zone}`) ?? 0))
      this.violations.add('an edge controller was created in an epoch that no status had told of')
  }

  #letGo({ kind, metadata }: Body): void {
    if (metadata?.finalizers?.includes(FINALIZER)) return
    const uid = metadata?.uid ?? ''
    if (this.#hub.campaigns.has(uid) || this.#hub.models.has(uid))
      this.violations.add(`a ${kind ?? ''} was let go while the hub still held its data`)
    if (kind === 'FederatedRound' && this.#pods.size > 0)
      this.violations.add('a FederatedRound was let go while it had pods that nobody had deleted')
  }
}

function parsed(body: Buffer): Body {
  return body.length === 0 ? {} : (JSON.parse(body.toString('utf8')) as Body)
}
