// Gives every request of the operator, every event of its watches and every call to the hub a name that is the same in
// each run of a scenario: what it does to which object, and for the how manieth time. A plan names its target so.
import { LABELS } from '#crds/names.ts'
import type { KubeObject } from '#operator/kube/types.ts'
import { LANE_LABEL } from './laboratory.ts'
import type { Lane } from './laboratory.ts'
import type { ProxiedRequest, WatchedEvent } from '#operator/kube/testing/fault-rules.ts'
import type { Mask } from './mask.ts'

export interface Parsed {
  resource: string
  name: string
  subresource: string
}

/** `/apis/GROUP/VERSION[/namespaces/NS]/RESOURCE[/NAME[/SUBRESOURCE]]`, or `/api/v1/…`. */
export function parsePath(path: string): Parsed {
  const [plain = ''] = path.split('?')
  const parts = plain.split('/').filter((part) => part !== '')
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3)
  const [resource = '', name = '', subresource = ''] = rest[0] === 'namespaces' ? rest.slice(2) : rest
  return { resource, name, subresource }
}

export class Tracker {
  readonly #lane: Lane
  readonly #counts = new Map<string, number>()
  /** What a pod is called here, by its name: a training pod by its node, an edge controller by zone and epoch. */
  readonly #pods = new Map<string, string>()
  /** Everything that was named, in order. */
  readonly seen: { kind: 'write' | 'read' | 'event' | 'call'; key: string }[] = []

  constructor(lane: Lane) {
    this.#lane = lane
  }

  request({ method, path, body }: ProxiedRequest): string {
    const { resource, name, subresource } = parsePath(path)
    const object = method === 'POST' ? nameIn(body) : name
    if (resource === 'pods' && method === 'POST') this.#learn(object, body.toString('utf8'))
    const parts = [resource, this.#masked(resource, object), subresource].filter((part) => part !== '')
    const key = this.#next(`${method} ${parts.join('/')}`)
    if (resource !== 'events') this.seen.push({ kind: method === 'GET' ? 'read' : 'write', key })
    return key
  }

  event({ type, object }: WatchedEvent): string {
    const kind = object.kind ?? ''
    const name = object.metadata?.name ?? ''
    if (kind === 'Pod') this.#learn(name, JSON.stringify(object))
    const key = this.#next(`${type} ${kind} ${this.#masked(kind === 'Pod' ? 'pods' : kind, name)}`)
    if (type !== 'BOOKMARK') this.seen.push({ kind: 'event', key })
    return key
  }

  call(method: string, detail: string): string {
    const key = this.#next(detail === '' ? method : `${method} ${detail}`)
    this.seen.push({ kind: 'call', key })
    return key
  }

  #next(name: string): string {
    const count = (this.#counts.get(name) ?? 0) + 1
    this.#counts.set(name, count)
    return `${name} #${String(count)}`
  }

  #learn(pod: string, text: string): void {
    const { metadata } = JSON.parse(text) as Partial<KubeObject>
    const { [LABELS.zone]: zone, [LABELS.epoch]: epoch } = metadata?.labels ?? {}
    const node = this.#lane.nodes.find((each) => text.includes(`"${each}"`))
    if (zone !== undefined) this.#pods.set(pod, `controller-${zone}-${epoch}`)
    else if (node !== undefined) this.#pods.set(pod, node)
  }

  #masked(resource: string, name: string): string {
    const shown = resource === 'pods' ? (this.#pods.get(name) ?? name) : name
    return shown.replace(`-${this.#lane.name}`, '')
  }
}

function nameIn(body: Buffer): string {
  const object = JSON.parse(body.toString('utf8')) as { metadata?: { name?: string } }
  return object.metadata?.name ?? ''
}

/** Confines what the operator asks of the whole cluster to one namespace and one lane's nodes. */
export function confine({ namespace, lane }: Mask): (path: string) => string {
  return (path) => {
    const { resource } = parsePath(path)
    if (path.includes('/namespaces/')) return path
    if (resource === 'nodes') {
      const selector = `labelSelector=${encodeURIComponent(`${LANE_LABEL}=${lane}`)}`
      return `${path}${path.includes('?') ? '&' : '?'}${selector}`
    }
    return path.replace(`/${resource}`, `/namespaces/${namespace}/${resource}`)
  }
}
