// What is known of one resource, by namespace/name. Fed by a watch, read by reconcilers. Subscribers learn what
// really changed: repeated events are dropped, and a successor of the same name under another uid shows up as the
// deletion of the first and the addition of the second. Subscribers run synchronously and must only enqueue.

import type { Key, KubeObject, ObjectRef } from './types.ts'

export type Change<T extends KubeObject> =
  | { type: 'added'; key: Key; object: T }
  | { type: 'modified'; key: Key; object: T; previous: T }
  | { type: 'deleted'; key: Key; object: T }

export interface ReadonlyCache<T extends KubeObject> {
  /** True once the first list is complete, and from then on. */
  readonly synced: boolean
  readonly size: number
  get(ref: ObjectRef | Key): T | undefined
  values(): IterableIterator<T>
  list(filter?: (object: T) => boolean): T[]
  /** Tells about changes from now on; the returned function ends it. */
  subscribe(listener: (change: Change<T>) => void): () => void
  /** Resolves when synced; rejects when the signal aborts first. */
  whenSynced(signal: AbortSignal): Promise<void>
}
