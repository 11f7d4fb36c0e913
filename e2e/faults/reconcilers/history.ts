// What the API server told the operator of one plan, version by version, so that an older view can be told again: the
// lists, each followed by what its watch reported.
import type { KubeObject } from '#operator/kube/types.ts'

interface View {
  resourceVersion: string
  items: Map<string, KubeObject>
  head: { apiVersion: string; kind: string }
}

interface ListBody {
  apiVersion: string
  kind: string
  metadata: { resourceVersion: string }
  items?: KubeObject[] | null
}

export class History {
  /** By resource, oldest first. */
  readonly #views = new Map<string, View[]>()

  listed(resource: string, body: Buffer): void {
    const { apiVersion, kind, metadata, items } = JSON.parse(body.toString('utf8')) as ListBody
    const named = (items ?? []).map((item): [string, KubeObject] => [item.metadata.name, item])
    const { resourceVersion } = metadata
    this.#viewsOf(resource).push({ resourceVersion, items: new Map(named), head: { apiVersion, kind } })
  }

  changed(resource: string, type: string, object: KubeObject): void {
    const views = this.#viewsOf(resource)
    const last = views.at(-1)
    const resourceVersion = object.metadata.resourceVersion
    if (!last || resourceVersion === undefined) return
    const items = new Map(last.items)
    if (type === 'DELETED') items.delete(object.metadata.name)
    else if (type !== 'BOOKMARK') items.set(object.metadata.name, object)
    views.push({ ...last, resourceVersion, items })
  }

  /** The list as it was this many changes ago, or the oldest known; undefined before the first. */
  olderList(resource: string, changes: number): Buffer | undefined {
    const views = this.#viewsOf(resource)
    const view = views[Math.max(0, views.length - 1 - changes)]
    if (!view) return undefined
    const { head, resourceVersion, items } = view
    return Buffer.from(JSON.stringify({ ...head, metadata: { resourceVersion }, items: [...items.values()] }))
  }

  /** An object as it was this many of its own changes ago, or the oldest known. */
  olderObject(resource: string, name: string, changes: number): Buffer | undefined {
    const versions: KubeObject[] = []
    for (const view of this.#viewsOf(resource)) {
      const object = view.items.get(name)
      const last = versions.at(-1)
      if (object && object.metadata.resourceVersion !== last?.metadata.resourceVersion) versions.push(object)
    }
    const object = versions[Math.max(0, versions.length - 1 - changes)]
    return object && Buffer.from(JSON.stringify(object))
  }

  #viewsOf(resource: string): View[] {
    const known = this.#views.get(resource) ?? []
    this.#views.set(resource, known)
    return known
  }
}
