// KubeClient over HTTPS. Every request has a time-out and every answer a size limit. A client bound to a guard sends
// no write once the guard is lost, and breaks off those under way.

import type { KubeConfig } from '@kubernetes/client-node'
import type {
  DeleteOptions,
  KubeClient,
  ListOptions,
  ListPage,
  TokenIssuer,
  TokenReviewStatus,
  WriteGuard,
} from './api.ts'
import { ApiError } from './errors.ts'
import type { KubeMetrics } from './metrics.ts'
import { collectionPath, objectPath, withQuery } from './paths.ts'
import { createTransport } from './transport.ts'
import type { Transport, TransportRequest } from './transport.ts'
import type { KubeObject, ObjectRef, ResourceType } from './types.ts'
import { openWatch } from './watch-stream.ts'

export type * from './api.ts'

/** The one field manager under which Tributary applies. */
export const FIELD_MANAGER = 'tributary-operator'

export const PAGE_SIZE = 500

const JSON_TYPE = 'application/json'
const APPLY_TYPE = 'application/apply-patch+yaml'
const MERGE_TYPE = 'application/merge-patch+json'

export interface KubeClientOptions {
  metrics: KubeMetrics
  /** Sent as the HTTP user agent. */
  userAgent?: string | undefined
  /** For one request, answer included. */
  timeoutMs?: number | undefined
  /** For one answer: an object, or a page of a list. */
  maxResponseBytes?: number | undefined
}

export function createKubeClient(kubeConfig: KubeConfig, options: KubeClientOptions): KubeClient {
  const transport = createTransport(kubeConfig, options.userAgent ?? FIELD_MANAGER)
  return clientOver({
    transport,
    metrics: options.metrics,
    timeoutMs: options.timeoutMs ?? 30_000,
    maxResponseBytes: options.maxResponseBytes ?? 64 * 1024 * 1024,
  })
}

interface Context {
  transport: Transport
  metrics: KubeMetrics
  timeoutMs: number
  maxResponseBytes: number
  guard?: WriteGuard
}

type Request = Omit<TransportRequest, 'timeoutMs'>

function clientOver(context: Context): KubeClient {
  return {
    ...readsOf(context),
    ...writesOf(context),
    guardedBy: (guard) => clientOver({ ...context, guard }),
    withTimeout: (timeoutMs) => clientOver({ ...context, timeoutMs }),
    close: () => {
      context.transport.close()
    },
  }
}

function readsOf(
  context: Context,
): Pick<KubeClient, 'get' | 'list' | 'listAll' | 'watch' | 'tokenIssuer' | 'reviewToken'> {
  return {
    get: (type, ref) =>
      absentAsUndefined(read(context, type, { method: 'GET', path: objectPath(type, ref) })),
    list: (type, options) => listPage(context, type, options ?? {}),
    listAll: (type, options) => listAll(context, type, options ?? {}),
    watch: (type, options) =>
      counted(context, 'watch', type.plural, async () => {
        const { namespace, labelSelector, fieldSelector, resourceVersion, serverTimeoutSeconds } = options
        const path = withQuery(collectionPath(type, namespace), {
          watch: true,
          allowWatchBookmarks: true,
          resourceVersion,
          labelSelector,
          fieldSelector,
          timeoutSeconds: serverTimeoutSeconds,
        })
        const request = { method: 'GET', path, timeoutMs: context.timeoutMs, signal: options.signal }
        return openWatch(await context.transport.stream(request), options)
      }),
    tokenIssuer: () => tokenIssuer(context),
    reviewToken: (token, audiences) => reviewToken(context, token, audiences),
  }
}

function writesOf(
  context: Context,
): Pick<KubeClient, 'create' | 'replace' | 'apply' | 'applyStatus' | 'mergePatch' | 'delete'> {
  return {
    create: (type, object) => {
      const path = withQuery(collectionPath(type, object.metadata.namespace), { fieldManager: FIELD_MANAGER })
      return write(context, 'create', type, { method: 'POST', path, body: json(object) })
    },
    replace: (type, object) => {
      const path = withQuery(objectPath(type, object.metadata), { fieldManager: FIELD_MANAGER })
      return write(context, 'replace', type, { method: 'PUT', path, body: json(object) })
    },
    apply: (type, object, options) => apply(context, type, object, { ...options }),
    applyStatus: (type, object, options) =>
      apply(context, type, object, { ...options, subresource: 'status' }),
    mergePatch: (type, ref, patch) => {
      const path = withQuery(objectPath(type, ref), { fieldManager: FIELD_MANAGER })
      const body = { contentType: MERGE_TYPE, value: patch }
      return write(context, 'patch', type, { method: 'PATCH', path, body })
    },
    delete: (type, ref, options) => deleteObject(context, type, ref, options ?? {}),
  }
}

function json(value: unknown): { contentType: string; value: unknown } {
  return { contentType: JSON_TYPE, value }
}

async function apply<T extends KubeObject>(
  context: Context,
  type: ResourceType<T>,
  object: KubeObject,
  options: { force?: boolean | undefined; subresource?: string },
): Promise<T> {
  const path = withQuery(objectPath(type, object.metadata, options.subresource), {
    fieldManager: FIELD_MANAGER,
    force: options.force ?? true,
  })
  const verb = options.subresource ? 'apply-status' : 'apply'
  const request = { method: 'PATCH', path, body: { contentType: APPLY_TYPE, value: object } }
  try {
    return await write(context, verb, type, request)
  } catch (error) {
    throw error instanceof ApiError && isForeignUid(error) ? asConflict(error) : error
  }
}

/** The server says "invalid" when an applied uid is not the object's; we mean it as a precondition. */
function isForeignUid({ status, message }: ApiError): boolean {
  return status === 422 && message.includes('metadata.uid: Invalid value')
}

function asConflict({ message, cause }: ApiError): ApiError {
  return new ApiError({ status: 409, reason: 'Conflict', message, cause })
}

async function listPage<T extends KubeObject>(
  context: Context,
  type: ResourceType<T>,
  options: ListOptions,
): Promise<ListPage<T>> {
  const { labelSelector, fieldSelector, signal } = options
  const path = withQuery(collectionPath(type, options.namespace), {
    limit: options.limit ?? PAGE_SIZE,
    continue: options.continueToken,
    labelSelector,
    fieldSelector,
  })
  const body = await counted(context, 'list', type.plural, () =>
    receive(context, { method: 'GET', path, signal }),
  )
  const list = body as { items?: T[] | null; metadata?: { resourceVersion?: string; continue?: string } }
  if (!list.metadata?.resourceVersion) throw malformed(`list of ${type.plural} has no resourceVersion`)
  const page: ListPage<T> = {
    // The server leaves the kind out of a built-in list's items.
    items: (list.items ?? []).map((item) => ({ ...item, apiVersion: type.apiVersion, kind: type.kind })),
    resourceVersion: list.metadata.resourceVersion,
  }
  return list.metadata.continue ? { ...page, continueToken: list.metadata.continue } : page
}

async function listAll<T extends KubeObject>(
  context: Context,
  type: ResourceType<T>,
  options: ListOptions,
): Promise<T[]> {
  const items: T[] = []
  let continueToken = options.continueToken
  do {
    const page = await listPage(context, type, { ...options, continueToken })
    items.push(...page.items)
    continueToken = page.continueToken
  } while (continueToken)
  return items
}

async function deleteObject(
  context: Context,
  type: ResourceType<KubeObject>,
  ref: ObjectRef,
  options: DeleteOptions,
): Promise<boolean> {
  const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = options
  const preconditions = (uid ?? resourceVersion) ? { uid, resourceVersion } : undefined
  const value = {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    preconditions,
    propagationPolicy: propagationPolicy ?? 'Background',
    gracePeriodSeconds,
  }
  try {
    await write(context, 'delete', type, { method: 'DELETE', path: objectPath(type, ref), body: json(value) })
    return true
  } catch (error) {
    if (error instanceof ApiError && (error.isNotFound || isOtherUid(error))) return false
    throw error
  }
}

/** The name is taken by another object by now: the one that was meant is gone. */
function isOtherUid(error: ApiError): boolean {
  return error.isConflict && /\bUID in (the )?precondition\b/.test(error.message)
}

async function reviewToken(context: Context, token: string, audiences: string[]): Promise<TokenReviewStatus> {
  const apiVersion = 'authentication.k8s.io/v1'
  const review = { apiVersion, kind: 'TokenReview', spec: { token, audiences } }
  const request = { method: 'POST', path: `/apis/${apiVersion}/tokenreviews`, body: json(review) }
  const body = await counted(context, 'create', 'tokenreviews', () => receive(context, request))
  return (body as { status?: TokenReviewStatus }).status ?? {}
}

async function tokenIssuer(context: Context): Promise<TokenIssuer> {
  const ask = (path: string): Promise<unknown> =>
    counted(context, 'get', 'openid', () => receive(context, { method: 'GET', path }))
  const { issuer } = (await ask('/.well-known/openid-configuration')) as { issuer?: unknown }
  const { keys } = (await ask('/openid/v1/jwks')) as { keys?: unknown }
  if (typeof issuer !== 'string' || !Array.isArray(keys))
    throw malformed('the discovery of token keys has no issuer or no keys')
  return { issuer, keySet: { keys } }
}

function read<T extends KubeObject>(context: Context, type: ResourceType<T>, request: Request): Promise<T> {
  return counted(context, 'get', type.plural, () => receive(context, request)) as Promise<T>
}

/** Sends only while the guard holds; what is under way when it is lost is broken off. */
async function write<T extends KubeObject>(
  context: Context,
  verb: string,
  type: ResourceType<T>,
  request: Request,
): Promise<T> {
  context.guard?.assertHeld()
  const guarded = { ...request, signal: context.guard?.signal }
  return (await counted(context, verb, type.plural, () => receive(context, guarded))) as T
}

function receive(context: Context, request: Request): Promise<unknown> {
  return context.transport.json({ ...request, timeoutMs: context.timeoutMs }, context.maxResponseBytes)
}

async function counted<T>(
  context: Context,
  verb: string,
  resource: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const result = await work()
    context.metrics.requests.inc({ verb, resource, code: '2xx' })
    return result
  } catch (error) {
    const code = error instanceof ApiError ? String(error.status) : '0'
    context.metrics.requests.inc({ verb, resource, code })
    throw error
  }
}

async function absentAsUndefined<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return undefined
    throw error
  }
}

function malformed(message: string): ApiError {
  return new ApiError({ status: 0, reason: 'MalformedResponse', message })
}
