// What a client of the Kubernetes API offers: the verbs over plain objects, and what each takes. Reconcilers and
// tests depend on this alone. Absence is a value (`undefined`, `false`); every failure is an ApiError.

import type { Applied, KubeObject, ObjectRef, ResourceType } from './types.ts'
import type { WatchStream } from './watch-stream.ts'

export interface Selection {
  /** All namespaces when absent. */
  namespace?: string | undefined
  labelSelector?: string | undefined
  fieldSelector?: string | undefined
}

export interface ListOptions extends Selection {
  /** Objects a page, 500 unless told. */
  limit?: number | undefined
  continueToken?: string | undefined
  signal?: AbortSignal | undefined
}

export interface ListPage<T> {
  items: T[]
  resourceVersion: string
  /** Asks for the next page; absent on the last. */
  continueToken?: string | undefined
}

export interface WatchOptions extends Selection {
  resourceVersion: string
  /** The server ends the stream by itself after this many seconds. */
  serverTimeoutSeconds: number
  /** A stream silent for longer than this counts as dead. */
  idleTimeoutMs: number
  signal?: AbortSignal | undefined
}

export interface ApplyOptions {
  /** Take fields over from other managers; true unless told. */
  force?: boolean | undefined
}

export interface DeleteOptions {
  uid?: string | undefined
  resourceVersion?: string | undefined
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined
  gracePeriodSeconds?: number | undefined
}

export interface TokenReviewStatus {
  authenticated?: boolean | undefined
  audiences?: string[] | undefined
  error?: string | undefined
  user?:
    | {
        username?: string | undefined
        uid?: string | undefined
        groups?: string[] | undefined
        extra?: Record<string, string[]> | undefined
      }
    | undefined
}

export interface TokenIssuer {
  /** The tokens' `iss`. */
  issuer: string
  /** Public keys, as a JSON Web Key Set (RFC 7517). */
  keySet: { keys: unknown[] }
}

/** Says whether writing is still allowed; throws when not. The signal breaks off writes under way. */
export interface WriteGuard {
  readonly signal: AbortSignal
  assertHeld(): void
}

export interface KubeClient {
  get<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef): Promise<T | undefined>
  /** One page. */
  list<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<ListPage<T>>
  /** All pages. */
  listAll<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<T[]>
  create<T extends KubeObject>(type: ResourceType<T>, object: Applied<T>): Promise<T>
  /** PUT; with metadata.resourceVersion a 409 says that someone else wrote in between. */
  replace<T extends KubeObject>(type: ResourceType<T>, object: T): Promise<T>
  /** Server-side apply as FIELD_MANAGER. metadata.uid or resourceVersion, when given, are preconditions. */
  apply<T extends KubeObject>(type: ResourceType<T>, object: Applied<T>, options?: ApplyOptions): Promise<T>
  /** Server-side apply of the status subresource. */
  applyStatus<T extends KubeObject>(
    type: ResourceType<T>,
    object: Applied<T>,
    options?: ApplyOptions,
  ): Promise<T>
  /** JSON merge patch; metadata.resourceVersion in the patch is a precondition. */
  mergePatch<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, patch: object): Promise<T>
  /** False when there was nothing (or, with a uid, something else) to delete. */
  delete(type: ResourceType<KubeObject>, ref: ObjectRef, options?: DeleteOptions): Promise<boolean>
  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): Promise<WatchStream<T>>
  /** What the cluster says of the service-account tokens that it issues (OpenID Connect discovery). */
  tokenIssuer(): Promise<TokenIssuer>
  reviewToken(token: string, audiences: string[]): Promise<TokenReviewStatus>
  /** The same client, whose writes are refused and broken off once the guard is lost. */
  guardedBy(guard: WriteGuard): KubeClient
  /** The same client with another time-out for each request. */
  withTimeout(timeoutMs: number): KubeClient
  /** Closes idle connections. */
  close(): void
}
