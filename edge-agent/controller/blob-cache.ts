// Bytes that an edge controller has for those below it: each blob is fetched from the parent once, whoever asks and however many ask
// at the same time, and sent on while it arrives. What the campaign names is kept as long as it does; published models, which agents
// ask for, within a bound, those that nobody asked for longest going first. Nobody is given what the parent did not let us have.
import { open, readdir, rm, stat } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { IdleTimer, startOf } from '#federation/tier/serving/blob-server.ts'
import { isDiskFull, TierError } from '#federation/tier/serving/errors.ts'
import { type Exchange, requireMethod } from '#federation/tier/serving/http.ts'
import type { BlobReference, BlobStore } from '#federation/tier/store/blobs.ts'
import { Backoff, sleep } from '#federation/wire/backoff.ts'
import { DownloadRefused, downloadBlob } from '#federation/wire/download.ts'
import { type Sender, byteCountHeader } from '#federation/wire/http.ts'
import { MAXIMUM_BLOB_BYTES, blobPath } from '#federation/wire/names.ts'
import { sendFile } from '#federation/wire/send-file.ts'

export interface BlobCacheOptions {
  readonly blobs: BlobStore
  readonly parent: Sender
  /** Blobs that the campaign names, with their sizes. */
  readonly referenced: () => ReadonlyMap<string, number | undefined>
  readonly idleMs: number
  readonly onFetched: (bytes: number) => void
  readonly onSent: (bytes: number) => void
  readonly onProblem: (error: Error) => void
  /** Called when a fetch ends as the disk is full, with the bytes that are still missing. */
  readonly onDiskFull: (missing: number) => void
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly signal: AbortSignal
}

/** Bytes of published models that are kept besides what the campaign names. */
const MOST_MODEL_BYTES = 4 * 1024 * 1024 * 1024
const MOST_FETCHES = 64
/** How often a file that arrives is looked at for more. */
const LOOK_MS = 20
/** A parent that does not know a blob is asked again after this time. */
const UNKNOWN_FOR_MS = 5_000

interface Fetch extends BlobReference {
  readonly ended: Promise<unknown>
  state: 'running' | 'done' | 'failed'
}

interface Sending {
  readonly at: number
  readonly response: ServerResponse
  readonly onSent: (bytes: number) => void
}

export class BlobCache {
  readonly #options: BlobCacheOptions
  readonly #folder: string
  readonly #fetches = new Map<string, Promise<Fetch>>()
  /** Digests of models by when they were asked for last, the oldest first; with their bytes. */
  readonly #models = new Map<string, number>()

  constructor(options: BlobCacheOptions) {
    this.#options = options
    this.#folder = dirname(options.blobs.path(`sha256:${'0'.repeat(64)}`))
  }

  /** Takes note of what an earlier process left. */
  async open(): Promise<void> {
    const found: { digest: string; size: number; usedMs: number }[] = []
    for (const name of await readdir(this.#folder)) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue
      const { size, atimeMs } = await stat(join(this.#folder, name))
      found.push({ digest: `sha256:${name}`, size, usedMs: atimeMs })
    }
    for (const { digest, size } of found.sort((a, b) => a.usedMs - b.usedMs)) this.#models.set(digest, size)
  }

  /** What must not be swept: the campaign's blobs, and the models that fit. */
  kept(): Set<string> {
    const referenced = this.#options.referenced()
    const kept = new Set(referenced.keys())
    let bytes = 0
    for (const [digest, size] of [...this.#models].reverse()) {
      if (referenced.has(digest)) continue
      bytes += size
      if (bytes > MOST_MODEL_BYTES) this.#models.delete(digest)
      else kept.add(digest)
    }
    return kept
  }

  /** Begins to fetch what will be asked for. */
  prefetch(wanted: readonly BlobReference[]): void {
    for (const { digest, size } of wanted) {
      this.#has({ digest, size }).catch((error: unknown) => {
        if (error instanceof Error) this.#options.onProblem(error)
      })
    }
  }

  async serve(exchange: Exchange, digest: string): Promise<void> {
    const method = requireMethod(exchange, ['GET', 'HEAD'])
    const { request, response } = exchange
    const fetch = await this.#has({ digest, size: this.#options.referenced().get(digest) })
    this.#models.delete(digest)
    this.#models.set(digest, fetch.size)
    const start = startOf(request.headers.range, fetch.size)
    response.writeHead(start === undefined ? 200 : 206, {
      'content-type': 'application/octet-stream',
      'content-length': fetch.size - (start ?? 0),
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
      'cache-control': 'private, immutable, max-age=31536000',
      ...(start !== undefined && { 'content-range': `bytes ${start}-${fetch.size - 1}/${fetch.size}` }),
    })
    if (method === 'HEAD' || fetch.size === 0) response.end()
    else await this.#send(fetch, start ?? 0, response)
  }

  /** The blob on the disk, or on its way there. */
  async #has(wanted: { digest: string; size: number | undefined }): Promise<Fetch> {
    const { digest } = wanted
    const known = this.#fetches.get(digest)
    if (known) return await known
    const size = await this.#options.blobs.size(digest)
    if (size !== undefined) return { digest, size, ended: Promise.resolve(), state: 'done' }
    const racing = this.#fetches.get(digest)
    if (racing) return await racing
    if (this.#fetches.size >= MOST_FETCHES) {
      throw new TierError(
        'unavailable',
        'TooManyDownloads',
        `${MOST_FETCHES} blobs are being fetched already`,
      )
    }
    const begun = this.#begin(wanted)
    this.#fetches.set(digest, begun)
    begun.then(
      async ({ ended }) => ended.then(() => this.#fetches.delete(digest)),
      // Asked again at once, the parent would say the same.
      () => setTimeout(() => this.#fetches.delete(digest), UNKNOWN_FOR_MS).unref(),
    )
    return await begun
  }

  async #begin({ digest, size: announced }: { digest: string; size: number | undefined }): Promise<Fetch> {
    const size = announced ?? (await this.#sizeAtParent(digest))
    if (size > MAXIMUM_BLOB_BYTES) {
      throw new TierError(
        'tooLarge',
        'BlobTooLarge',
        `blob ${digest} has ${size} bytes; at most ${MAXIMUM_BLOB_BYTES} are taken`,
      )
    }
    const fetch: Fetch = { digest, size, state: 'running', ended: Promise.resolve() }
    const ended = this.#fetch(fetch).then(
      () => {
        fetch.state = 'done'
        this.#options.onFetched(size)
      },
      async (error: unknown) => {
        fetch.state = 'failed'
        if (!(error instanceof Error) || this.#options.signal.aborted) return
        this.#options.onProblem(error)
        if (isDiskFull(error)) this.#options.onDiskFull(size - (await this.#arrived(fetch)).end)
      },
    )
    return Object.assign(fetch, { ended })
  }

  async #fetch(blob: BlobReference): Promise<void> {
    const { parent: http, signal, random, onProblem } = this.#options
    await downloadBlob(blob, this.#folder, { http, signal, random, onRetry: onProblem })
  }

  async #sizeAtParent(digest: string): Promise<number> {
    const { parent, signal, random } = this.#options
    const backoff = new Backoff(random)
    for (let attempt = 0; ; attempt++) {
      const asked = await parent
        .send({ method: 'HEAD', path: blobPath(digest), signal })
        .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
      if (!(asked instanceof Error)) {
        asked.resume()
        const size = byteCountHeader(asked.headers, 'content-length')
        if (asked.statusCode === 200 && size !== undefined) return size
        if (asked.statusCode === 404)
          throw new TierError('missing', 'UnknownBlob', `there is no blob ${digest}`)
      }
      if (attempt >= 2)
        throw new TierError(
          'unavailable',
          'ParentUnreachable',
          `blob ${digest} is not here, and the tier above does not answer`,
        )
      await sleep(backoff.next(), signal)
    }
  }

  /** Sends what is there, and what arrives as it arrives. */
  async #send(fetch: Fetch, start: number, response: ServerResponse): Promise<void> {
    const idle = new IdleTimer(this.#options.idleMs, () => response.destroy())
    const onSent = (bytes: number): void => {
      idle.touch()
      this.#options.onSent(bytes)
    }
    try {
      let at = start
      while (at < fetch.size && !response.destroyed)
        at = await this.#sendArrived(fetch, { at, response, onSent })
      response.end()
    } catch {
      // The client went away, or the rest did not come; it asks for the rest.
      response.destroy()
    } finally {
      idle.stop()
    }
  }

  /** Sends what has arrived from a place on, waiting a moment when nothing has; returns the place behind it. */
  async #sendArrived(fetch: Fetch, { at, response, onSent }: Sending): Promise<number> {
    const { path, end } = await this.#arrived(fetch)
    // It has its final name in the moment after it was looked for.
    const file = end > at ? await open(path).catch(unlessMissing) : undefined
    if (file) {
      await using _closed = file
      await sendFile(file, { start: at, end }, response, { onSent })
      return end
    }
    if (fetch.state === 'failed') {
      throw new DownloadRefused('DownloadFailed', `blob ${fetch.digest} did not arrive`)
    }
    await delay(LOOK_MS)
    return at
  }

  async #arrived({ digest, size }: Fetch): Promise<{ path: string; end: number }> {
    const path = this.#options.blobs.path(digest)
    if ((await this.#options.blobs.size(digest)) !== undefined) return { path, end: size }
    const partial = `${path}.partial`
    const found = await stat(partial).catch(() => undefined)
    return { path: partial, end: Math.min(size, found?.size ?? 0) }
  }

  /** Removes what arrived in part of blobs that nobody names any more. */
  async dropPartials(): Promise<void> {
    const kept = this.kept()
    for (const name of await readdir(this.#folder)) {
      const digest = `sha256:${name.slice(0, 64)}`
      if (!name.endsWith('.partial') || kept.has(digest) || this.#fetches.has(digest)) continue
      await rm(join(this.#folder, name), { force: true })
    }
  }
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
