// One open watch: newline-separated JSON, line length bounded, silence bounded. `next` gives the events in order,
// `undefined` at the server's regular end of the stream, and throws an ApiError for everything else. Silence counts
// only while somebody waits in `next`: a slow reader is not a dead server.

import type { IncomingMessage } from 'node:http'
import { ApiError, messageOf } from './errors.ts'
import { LineSplitter } from './lines.ts'
import type { KubeObject } from './types.ts'

export interface WatchEvent<T extends KubeObject> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  object: T
}

export interface WatchStream<T extends KubeObject> {
  next(): Promise<WatchEvent<T> | undefined>
  close(): void
}

export interface WatchStreamOptions {
  idleTimeoutMs: number
  signal?: AbortSignal | undefined
  /** 8 MiB unless told: etcd takes 1.5 MiB, JSON makes more of it. */
  maxLineBytes?: number | undefined
}

const MAX_LINE_BYTES = 8 * 1024 * 1024
const EVENT_TYPES = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'])

export function openWatch<T extends KubeObject>(
  response: IncomingMessage,
  options: WatchStreamOptions,
): WatchStream<T> {
  const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const lines = new LineSplitter(options.maxLineBytes ?? MAX_LINE_BYTES)
  const close = (): void => {
    response.destroy()
  }
  return {
    close,
    async next() {
      try {
        for (;;) {
          const line = lines.shift()
          if (line !== undefined) return parseEvent<T>(line)
          const chunk = await nextChunk(chunks, response, options.idleTimeoutMs)
          if (!chunk) return undefined
          lines.push(chunk)
        }
      } catch (error) {
        close()
        throw watchError(error, options.signal)
      }
    },
  }
}

async function nextChunk(
  chunks: AsyncIterator<Buffer>,
  response: IncomingMessage,
  idleTimeoutMs: number,
): Promise<Buffer | undefined> {
  const timer = setTimeout(() => {
    const message = `watch: silent for ${String(idleTimeoutMs)} ms`
    response.destroy(new ApiError({ status: 0, reason: 'Timeout', message }))
  }, idleTimeoutMs)
  try {
    const result = await chunks.next()
    return result.done ? undefined : result.value
  } finally {
    clearTimeout(timer)
  }
}

function watchError(error: unknown, signal: AbortSignal | undefined): ApiError {
  if (signal?.aborted) return new ApiError({ status: 0, reason: 'Aborted', message: 'watch: aborted' })
  if (error instanceof ApiError) return error
  const message = `watch: ${messageOf(error)}`
  return new ApiError({ status: 0, reason: 'ConnectionFailed', message, cause: error })
}

function parseEvent<T extends KubeObject>(line: Buffer): WatchEvent<T> {
  const event = parseLine(line)
  if (event.type === 'ERROR') throw serverError(event.object)
  const { metadata } = event.object as Partial<KubeObject>
  // The resource version is what the watch goes on from after a break: without one, better to start anew.
  if (!EVENT_TYPES.has(event.type) || !metadata?.resourceVersion)
    throw malformed(`event of type "${event.type}"`)
  return event as WatchEvent<T>
}

function parseLine(line: Buffer): { type: string; object: object } {
  let value: unknown
  try {
    value = JSON.parse(line.toString('utf8'))
  } catch (error) {
    throw malformed(messageOf(error))
  }
  const event = value as { type?: unknown; object?: unknown } | null
  if (typeof event?.type !== 'string' || typeof event.object !== 'object' || event.object === null) {
    throw malformed('event without type or object')
  }
  return { type: event.type.slice(0, 40), object: event.object }
}

function serverError(object: object): ApiError {
  const status = object as { code?: unknown; reason?: unknown; message?: unknown }
  const message = typeof status.message === 'string' ? status.message : 'ERROR event without a message'
  return new ApiError({
    status: typeof status.code === 'number' ? status.code : 0,
    reason: typeof status.reason === 'string' ? status.reason : 'WatchError',
    message: `watch: ${message}`,
  })
}

function malformed(what: string): ApiError {
  return new ApiError({ status: 0, reason: 'MalformedResponse', message: `watch: malformed ${what}` })
}
