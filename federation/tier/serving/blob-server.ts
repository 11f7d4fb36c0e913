// Serves content-addressed bytes: GET with an open range, so that a download goes on where it stopped.
// Who may read what follows from identity: agents the published models, training pods what their campaign names.
import { open, type FileHandle } from 'node:fs/promises'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { byteCountHeader } from '#federation/wire/http.ts'
import { TRANSFER_LIMIT_HEADER } from '#federation/wire/names.ts'
import { LEAST_BYTES_PER_SECOND, Pacer } from '#federation/wire/pacer.ts'
import { sendFile, type ByteRange } from '#federation/wire/send-file.ts'
import { TierError } from './errors.ts'
import { requireMethod, type Exchange } from './http.ts'
import type { HubMetrics } from './metrics.ts'
import type { ReviewedIdentity } from './identity.ts'
import type { BlobStore } from '../store/blobs.ts'

export interface BlobServerContext {
  readonly blobs: BlobStore
  readonly metrics: HubMetrics
  readonly mayRead: (identity: ReviewedIdentity, digest: string) => boolean
  readonly idleMs: number
}

export class BlobServer {
  readonly #context: BlobServerContext

  constructor(context: BlobServerContext) {
    this.#context = context
  }

  async serve(exchange: Exchange, identity: ReviewedIdentity, digest: string): Promise<void> {
    const method = requireMethod(exchange, ['GET', 'HEAD'])
    // A blob that may not be read looks like one that is not there.
    const size = this.#context.mayRead(identity, digest) ? await this.#context.blobs.size(digest) : undefined
    if (size === undefined) throw new TierError('missing', 'UnknownBlob', `there is no blob ${digest}`)
    const { request, response } = exchange
    const start = startOf(request.headers.range, size)
    const pacer = pacerOf(request.headers)
    const headers: Record<string, string | number> = {
      'content-type': 'application/octet-stream',
      'content-length': size - (start ?? 0),
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
      'cache-control': 'private, immutable, max-age=31536000',
    }
    if (start !== undefined) headers['content-range'] = `bytes ${start}-${size - 1}/${size}`
    response.writeHead(start === undefined ? 200 : 206, headers)
    if (method === 'HEAD' || size === 0) {
      response.end()
      return
    }
    await using file = await open(this.#context.blobs.path(digest))
    await this.#send(file, { start: start ?? 0, end: size }, response, pacer)
  }

  async #send(
    file: FileHandle,
    range: ByteRange,
    response: ServerResponse,
    pacer: Pacer | undefined,
  ): Promise<void> {
    const idle = new IdleTimer(this.#context.idleMs, () => response.destroy())
    const onSent = (bytes: number): void => {
      idle.touch()
      this.#context.metrics.bytesSent.inc(bytes)
    }
    try {
      await sendFile(file, range, response, { onSent, pacer })
      response.end()
    } catch {
      // The client went away or stood still; it will ask for the rest.
      response.destroy()
    } finally {
      idle.stop()
    }
  }
}

/** Calls back when nothing happened for a while. */
export class IdleTimer {
  readonly #timer: NodeJS.Timeout

  constructor(ms: number, onIdle: () => void) {
    this.#timer = setTimeout(onIdle, ms)
  }

  touch(): void {
    this.#timer.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

/** The client knows what its link should carry. */
function pacerOf(headers: IncomingHttpHeaders): Pacer | undefined {
  const given = headers[TRANSFER_LIMIT_HEADER]
  if (given === undefined) return undefined
  const bytesPerSecond = byteCountHeader(headers, TRANSFER_LIMIT_HEADER) ?? 0
  if (bytesPerSecond >= LEAST_BYTES_PER_SECOND) return new Pacer(bytesPerSecond)
  throw new TierError(
    'invalid',
    'InvalidTransferLimit',
    `${TRANSFER_LIMIT_HEADER} is ${String(given).slice(0, 32)}, expected bytes a second from ${LEAST_BYTES_PER_SECOND}`,
  )
}

/** First byte wanted; undefined when all are. Only `bytes=N-` is understood, other forms get the whole (RFC 9110 §14.2). */
export function startOf(range: string | undefined, size: number): number | undefined {
  const match = /^bytes=([0-9]{1,15})-$/.exec(range ?? '')
  if (!match) return undefined
  const start = Number(match[1])
  if (start < size) return start
  throw new TierError('range', 'RangeNotSatisfiable', `byte ${start} is beyond the last of ${size}`, {
    'content-range': `bytes */${size}`,
  })
}
