// What is known of one resource, by namespace/name. Fed by a watch, read by reconcilers. Subscribers learn what
// really changed: repeated events are dropped, what vanished during a break is reported deleted, and a successor of
// the same name under another uid shows up as the deletion of the first and the addition of the second.
// Subscribers run synchronously and should only enqueue; one that throws does not disturb the others.

import { keyOf } from './types.ts'
import type { Key, KubeObject, ObjectRef } from './types.ts'
import type { WatchOutput } from './watch.ts'

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
  /** Resolves when synced; rejects with the signal's reason when that aborts first. */
  whenSynced(signal: AbortSignal): Promise<void>
}

export class Cache<T extends KubeObject> implements ReadonlyCache<T> {
  readonly #objects = new Map<Key, T>()
  readonly #listeners = new Set<(change: Change<T>) => void>()
  readonly #onListenerError: (error: unknown) => void
  readonly #waiting = new Set<() => void>()
  #isSynced = false
  /** What the list under way has shown so far. */
  #seen = new Set<Key>()

  constructor(onListenerError: (error: unknown) => void) {
    this.#onListenerError = onListenerError
  }

  get synced(): boolean {
    return this.#isSynced
  }

  get size(): number {
    return this.#objects.size
  }

  get(ref: ObjectRef | Key): T | undefined {
    return this.#objects.get(typeof ref === 'string' ? ref : keyOf(ref))
  }

  values(): IterableIterator<T> {
    return this.#objects.values()
  }

  list(filter?: (object: T) => boolean): T[] {
    const all = [...this.#objects.values()]
    return filter ? all.filter(filter) : all
  }

  subscribe(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  whenSynced(signal: AbortSignal): Promise<void> {
    if (this.#isSynced) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        signal.removeEventListener('abort', finish)
        this.#waiting.delete(finish)
        if (this.#isSynced) resolve()
        else reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      }
      this.#waiting.add(finish)
      signal.addEventListener('abort', finish, { once: true })
      if (signal.aborted) finish()
    })
  }

  /** `keep` makes what is held out of what arrived; undefined means: not of interest. */
  receive(output: WatchOutput<T>, keep: (object: T) => T | undefined): void {
    switch (output.type) {
      case 'restarted':
        this.#seen = new Set()
        return
      case 'page':
        for (const object of output.objects) {
          this.#seen.add(keyOf(object.metadata))
          this.#put(object, keep)
        }
        return
      case 'listed':
        this.#dropUnseen()
        return
      case 'applied':
        this.#put(output.object, keep)
        return
      case 'deleted':
        this.#remove(output.object)
        return
    }
  }

  #put(arrived: T, keep: (object: T) => T | undefined): void {
    const key = keyOf(arrived.metadata)
    const object = keep(arrived)
    const previous = this.#objects.get(key)
    if (previous && (!object || previous.metadata.uid !== arrived.metadata.uid)) this.#drop(key, previous)
    if (!object) return
    const known = this.#objects.get(key)
    if (known && known.metadata.resourceVersion === arrived.metadata.resourceVersion) return
    this.#objects.set(key, object)
    this.#tell(known ? { type: 'modified', key, object, previous: known } : { type: 'added', key, object })
  }

  #remove(object: T): void {
    const key = keyOf(object.metadata)
    const known = this.#objects.get(key)
    // A late word about a predecessor says nothing about the object that has its name now.
    if (known && known.metadata.uid === object.metadata.uid) this.#drop(key, known)
  }

  #dropUnseen(): void {
    for (const [key, object] of this.#objects) {
      if (!this.#seen.has(key)) this.#drop(key, object)
    }
    this.#seen = new Set()
    this.#isSynced = true
    for (const finish of this.#waiting) finish()
  }

  #drop(key: Key, object: T): void {
    this.#objects.delete(key)
    this.#tell({ type: 'deleted', key, object })
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        this.#onListenerError(error)
      }
    }
  }
}
