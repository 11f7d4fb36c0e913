// Writes only what differs. On an idle cluster none of these sends anything: what was applied is remembered as a
// digest on the object, and what others may have changed since is found by comparing the fields that we want.

import { createHash } from 'node:crypto'
import type { KubeClient } from './api.ts'
import { canonicalJson, equalValues, firstDifference } from './compare.ts'
import { ApiError } from './errors.ts'
import type { Applied, KubeObject, ResourceType } from './types.ts'

/** Digest of what was last applied; without it, a field that is no longer wanted would go unnoticed. */
export const APPLIED_ANNOTATION = 'tributary.dev/applied'

export type Outcome = 'created' | 'updated' | 'unchanged'

export interface Wish<T extends KubeObject> {
  desired: Applied<T>
  observed: T | undefined
  /** `digest` when `observed` was stripped by a cache: then only changes of `desired` are found, not drift. */
  compare?: 'fields' | 'digest' | undefined
}

/** Server-side applies `desired` unless `observed` already is so. */
export async function ensureObject<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  { desired, observed, compare = 'fields' }: Wish<T>,
): Promise<Outcome> {
  const marked = withDigest(desired)
  if (observed && isAsWanted(marked, observed, compare)) return 'unchanged'
  await client.apply(type, marked)
  return observed ? 'updated' : 'created'
}

function isAsWanted(marked: KubeObject, observed: KubeObject, compare: 'fields' | 'digest'): boolean {
  const wanted = marked.metadata.annotations?.[APPLIED_ANNOTATION]
  if (observed.metadata.annotations?.[APPLIED_ANNOTATION] !== wanted) return false
  return compare === 'digest' || firstDifference(marked, observed) === undefined
}

function withDigest<T extends KubeObject>(desired: Applied<T>): Applied<T> {
  const digest = createHash('sha256').update(canonicalJson(desired)).digest('hex').slice(0, 32)
  const annotations = { ...desired.metadata.annotations, [APPLIED_ANNOTATION]: digest }
  return Object.assign({}, desired, { metadata: { ...desired.metadata, annotations } })
}

/** Creates; false when an object of that name is there already. For what is never changed, such as pods. */
export async function ensureCreated<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  desired: Applied<T>,
): Promise<boolean> {
  try {
    await client.create(type, desired)
    return true
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'AlreadyExists') return false
    throw error
  }
}

type WithStatus = KubeObject & { status?: object | undefined }

/**
 * Applies the whole status unless it is the observed one, and returns the object as it is then. A field left out is
 * removed if we had set it. Fails with 409 when the object changed since it was observed: a status that was derived
 * from a stale object, or from a predecessor of the same name, is never written. (The server ignores a uid here.)
 */
export async function ensureStatus<T extends WithStatus>(
  client: KubeClient,
  type: ResourceType<T>,
  observed: T,
  status: NonNullable<T['status']>,
): Promise<T> {
  if (equalValues(status, observed.status ?? {})) return observed
  const { name, namespace, uid, resourceVersion } = observed.metadata
  const metadata = { name, namespace, uid, resourceVersion }
  const wanted = { apiVersion: type.apiVersion, kind: type.kind, metadata, status } as unknown as Applied<T>
  return client.applyStatus(type, wanted)
}

/**
 * Adds the finalizer unless it is there, and returns the object as it is then. Refuses an object under deletion, to
 * which none can be added.
 */
export async function addFinalizer<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  observed: T,
  finalizer: string,
): Promise<T> {
  const finalizers = observed.metadata.finalizers ?? []
  if (finalizers.includes(finalizer)) return observed
  if (observed.metadata.deletionTimestamp) {
    throw new Error(`${type.kind} "${observed.metadata.name}" is being deleted: no finalizer can be added`)
  }
  return setFinalizers(client, type, observed, [...finalizers, finalizer])
}

/** Removes the finalizer if it is there. The object may be gone afterwards. */
export async function removeFinalizer<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  observed: T,
  finalizer: string,
): Promise<Outcome> {
  const finalizers = observed.metadata.finalizers ?? []
  if (!finalizers.includes(finalizer)) return 'unchanged'
  const remaining = finalizers.filter((other) => other !== finalizer)
  try {
    await setFinalizers(client, type, observed, remaining)
    return 'updated'
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return 'unchanged'
    throw error
  }
}

/** The list is written whole, so the version it was read at is a precondition: others keep their finalizers. */
async function setFinalizers<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  { metadata: { name, namespace, uid, resourceVersion } }: T,
  finalizers: string[],
): Promise<T> {
  return client.mergePatch(type, { name, namespace }, { metadata: { uid, resourceVersion, finalizers } })
}
