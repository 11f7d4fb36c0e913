// One HTTPS request to the API server, bounded in time and size. kubeconfig, TLS material and credentials are
// client-node's business (tokens are re-read there); the socket is ours, because watches need to see its silence.
// Guarantees: every failure is an ApiError; nothing stays open after a failure, a time-out or an abort.

import * as http from 'node:http'
import * as https from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import { ApiError, messageOf } from './errors.ts'

export interface TransportRequest {
  method: string
  /** Path and query below the server's address. */
  path: string
  body?: { contentType: string; value: unknown } | undefined
  /** Until the whole answer is there; for streams: until its headers are. */
  timeoutMs: number
  signal?: AbortSignal | undefined
}

export interface Transport {
  /** The parsed body of a 2xx answer. */
  json(request: TransportRequest, maxBytes: number): Promise<unknown>
  /** The body of a 2xx answer, still flowing. Aborting the request's signal closes it at any time. */
  stream(request: TransportRequest): Promise<http.IncomingMessage>
  /** Closes idle connections. */
  close(): void
}

const MAX_ERROR_BYTES = 256 * 1024
const LONGEST_RETRY_AFTER_MS = 60_000
const IDLE_SOCKETS = 16

export function createTransport(kubeConfig: KubeConfig, userAgent: string): Transport {
  const agents = {
    'http:': new http.Agent({ keepAlive: true, maxFreeSockets: IDLE_SOCKETS }),
    'https:': new https.Agent({ keepAlive: true, maxFreeSockets: IDLE_SOCKETS }),
  }
  const open = async (request: TransportRequest, signal: AbortSignal): Promise<http.IncomingMessage> => {
    const { url, options } = await prepare(kubeConfig, agents, userAgent, request)
    const response = await exchange(url, { ...options, signal }, request)
    if (isSuccess(response.statusCode)) return response
    throw statusError(response, await readBody(response, MAX_ERROR_BYTES), request)
  }
  return {
    json: async (request, maxBytes) => {
      const { result, release } = await bounded(request, async (signal) => {
        const response = await open(request, signal)
        return parseJson(await readBody(response, maxBytes), request)
      })
      release()
      return result
    },
    stream: async (request) => {
      const { result, release } = await bounded(request, (signal) => open(request, signal))
      result.once('close', release)
      return result
    },
    close: () => {
      agents['http:'].destroy()
      agents['https:'].destroy()
    },
  }
}

/**
 * Runs the work under a signal that aborts at the time-out or with the caller's signal, and names which it was.
 * After success the caller's signal still reaches what the work opened, until `release`.
 */
async function bounded<T>(
  request: TransportRequest,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<{ result: T; release: () => void }> {
  if (request.signal?.aborted) throw abortError(request)
  const controller = new AbortController()
  const onAbort = (): void => {
    controller.abort(abortError(request))
  }
  const release = (): void => request.signal?.removeEventListener('abort', onAbort)
  request.signal?.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => {
    controller.abort(timeoutError(request))
  }, request.timeoutMs)
  try {
    return {
      result: await Promise.race([work(controller.signal), rejectOnAbort(controller.signal)]),
      release,
    }
  } catch (error) {
    release()
    controller.abort()
    // Whatever came of breaking it off, the reason for that is what the caller wants to know.
    if (controller.signal.reason instanceof ApiError) throw controller.signal.reason
    throw error instanceof ApiError ? error : connectionError(request, error)
  } finally {
    clearTimeout(timer)
  }
}

/** Credentials may come from a program that hangs; this makes the time-out hold there too. */
function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        reject(new Error('aborted'))
      },
      { once: true },
    )
  })
}

async function prepare(
  kubeConfig: KubeConfig,
  agents: Record<'http:' | 'https:', http.Agent>,
  userAgent: string,
  request: TransportRequest,
): Promise<{ url: URL; options: https.RequestOptions }> {
  const cluster = kubeConfig.getCurrentCluster()
  if (!cluster) throw new Error('kubeconfig: current-context names no cluster')
  const url = new URL(cluster.server.replace(/\/+$/, '') + request.path)
  const options: https.RequestOptions = {
    method: request.method,
    // The keys of service-account tokens come as their own kind of JSON and as no other.
    headers: { accept: 'application/json, application/jwk-set+json', 'user-agent': userAgent },
  }
  await kubeConfig.applyToHTTPSOptions(options)
  if (!cluster.proxyUrl) options.agent = agents[url.protocol === 'http:' ? 'http:' : 'https:']
  return { url, options }
}

function exchange(
  url: URL,
  options: https.RequestOptions,
  request: TransportRequest,
): Promise<http.IncomingMessage> {
  const payload = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body.value))
  const headers: http.OutgoingHttpHeaders = { ...(options.headers as http.OutgoingHttpHeaders) }
  if (request.body && payload) {
    headers['content-type'] = request.body.contentType
    headers['content-length'] = payload.length
  }
  return new Promise((resolve, reject) => {
    const send = (url.protocol === 'http:' ? http : https).request
    const outgoing = send(url, { ...options, headers }, resolve)
    // An answer may have come before the error (a reset in mid-body); reading the body reports it then.
    outgoing.on('error', reject)
    outgoing.end(payload)
  })
}

async function readBody(response: http.IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) {
      throw new ApiError({
        status: 0,
        reason: 'ResponseTooLarge',
        message: `answer larger than ${String(maxBytes)} bytes`,
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parseJson(body: Buffer, request: TransportRequest): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch (error) {
    throw new ApiError({
      status: 0,
      reason: 'MalformedResponse',
      message: `${describe(request)}: answer is not JSON: ${messageOf(error)}`,
      cause: error,
    })
  }
}

function isSuccess(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300
}

interface StatusBody {
  reason?: unknown
  message?: unknown
  details?: { retryAfterSeconds?: unknown }
}

function statusError(response: http.IncomingMessage, body: Buffer, request: TransportRequest): ApiError {
  const status = response.statusCode ?? 0
  const parsed = parseStatus(body)
  const said = typeof parsed.message === 'string' ? parsed.message : body.toString('utf8').slice(0, 200)
  return new ApiError({
    status,
    reason:
      typeof parsed.reason === 'string' && parsed.reason !== '' ? parsed.reason : `Http${String(status)}`,
    message: `${describe(request)}: ${String(status)} ${said}`,
    retryAfterMs: retryAfter(response.headers['retry-after'], parsed.details?.retryAfterSeconds),
  })
}

function parseStatus(body: Buffer): StatusBody {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function retryAfter(header: string | undefined, fromBody: unknown): number | undefined {
  const seconds = Number(header ?? fromBody)
  if (!Number.isFinite(seconds) || seconds <= 0) return undefined
  return Math.min(seconds * 1000, LONGEST_RETRY_AFTER_MS)
}

function describe(request: TransportRequest): string {
  return `${request.method} ${request.path}`
}

function timeoutError(request: TransportRequest): ApiError {
  const message = `${describe(request)}: no answer within ${String(request.timeoutMs)} ms`
  return new ApiError({ status: 0, reason: 'Timeout', message })
}

function abortError(request: TransportRequest): ApiError {
  const reason: unknown = request.signal?.reason
  if (reason instanceof ApiError) return reason
  return new ApiError({
    status: 0,
    reason: 'Aborted',
    message: `${describe(request)}: aborted`,
    cause: reason,
  })
}

function connectionError(request: TransportRequest, cause: unknown): ApiError {
  const message = `${describe(request)}: ${messageOf(cause)}`
  return new ApiError({ status: 0, reason: 'ConnectionFailed', message, cause })
}
