// Fetches a content-addressed blob from the hub into a folder. The file appears under its final name only when it is
// whole, has the announced digest and is on disk; until then a `.partial` file beside it holds what has arrived, also
// across restarts. Never more bytes than announced are written. One caller at a time for a folder.
import type { IncomingMessage } from 'node:http'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { Backoff, type BackoffOptions, sleep } from './backoff.ts'
import { digestHex, digestOfFile } from './digest.ts'
import { syncFolder } from './durable.ts'
import { type HubHttp, type Pace, byteCountHeader, readProblem } from './http.ts'
import { MAXIMUM_BLOB_BYTES, blobPath } from './names.ts'

export interface BlobReference {
  readonly digest: string
  /** Bytes. */
  readonly size: number
}

export interface DownloadOptions {
  readonly http: HubHttp
  readonly signal: AbortSignal
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Called before each wait for another attempt. */
  readonly onRetry?: (error: Error, waitMs: number) => void
  /** Attempts in a row that bring no further byte before giving up. */
  readonly maximumFruitlessAttempts?: number
  readonly backoff?: BackoffOptions
  readonly pace?: Pace
}

/** A download that another attempt would not mend. `reason` is CamelCase, the message a sentence. */
export class DownloadRefused extends Error {
  override readonly name = 'DownloadRefused'
  readonly reason: string

  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}

const DEFAULT_FRUITLESS_ATTEMPTS = 8
/** Whole transfers with another digest before giving up. */
const MAXIMUM_CORRUPT = 3
/** Errors of this machine's disk: fetching again would not mend them. */
const DISK_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO', 'EISDIR', 'ENOTDIR'])
/** Statuses after which the same request may succeed: token being rotated, overload, restart. */
const PASSING_STATUSES = new Set([401, 408, 425, 429])

/** @returns the path of the whole, verified file in `folder` */
export async function downloadBlob(
  blob: BlobReference,
  folder: string,
  options: DownloadOptions,
): Promise<string> {
  const path = blobFile(folder, blob)
  const partial = `${path}.partial`
  await mkdir(folder, { recursive: true })
  if (await isWhole(path, blob)) return path
  const patience = new Patience(options)
  for (;;) {
    const before = await sizeOf(partial)
    try {
      await fetchRest(blob, partial, options)
      await verify(blob, partial)
      await rename(partial, path)
      await syncFolder(folder)
      return path
    } catch (error) {
      options.signal.throwIfAborted()
      const progress = (await sizeOf(partial)) > before
      await patience.afterFailure(error, progress)
    }
  }
}

/** Decides whether a failed attempt is followed by another, and waits until then. */
class Patience {
  readonly #options: DownloadOptions
  readonly #backoff: Backoff
  #fruitless = 0
  #corrupt = 0

  constructor(options: DownloadOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.random, options.backoff)
  }

  async afterFailure(error: unknown, progress: boolean): Promise<void> {
    const passing = passingError(error)
    if (progress) this.#backoff.reset()
    this.#fruitless = progress ? 0 : this.#fruitless + 1
    if (passing instanceof BlobCorrupt) this.#corrupt += 1
    if (this.#corrupt >= MAXIMUM_CORRUPT) throw new DownloadRefused('BlobCorrupt', passing.message)
    if (this.#fruitless >= (this.#options.maximumFruitlessAttempts ?? DEFAULT_FRUITLESS_ATTEMPTS))
      throw passing
    const waitMs = this.#backoff.next()
    this.#options.onRetry?.(passing, waitMs)
    await sleep(waitMs, this.#options.signal)
  }
}

/** Throws what another attempt would not mend. */
function passingError(error: unknown): Error {
  if (!(error instanceof Error) || error instanceof DownloadRefused) throw error
  if (!DISK_ERRORS.has((error as NodeJS.ErrnoException).code ?? '')) return error
  throw new DownloadRefused('DiskUnusable', error.message)
}

class BlobCorrupt extends Error {}

/** Where a downloaded blob lies. */
export function blobFile(folder: string, blob: BlobReference): string {
  if (!Number.isSafeInteger(blob.size) || blob.size < 0 || blob.size > MAXIMUM_BLOB_BYTES) {
    throw new DownloadRefused(
      'BlobTooLarge',
      `blob ${blob.digest} is announced with ${blob.size} bytes, allowed are 0 to ${MAXIMUM_BLOB_BYTES}`,
    )
  }
  return join(folder, digestHex(blob.digest))
}

async function isWhole(path: string, blob: BlobReference): Promise<boolean> {
  if ((await sizeOf(path)) !== blob.size) return false
  return (await digestOfFile(path).catch(() => '')) === blob.digest
}

async function fetchRest(blob: BlobReference, partial: string, options: DownloadOptions): Promise<void> {
  await using file = await open(partial, 'a')
  let offset = (await file.stat()).size
  if (offset > blob.size) {
    await file.truncate(0)
    offset = 0
  }
  if (offset < blob.size) {
    const { http, signal, pace } = options
    const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {}
    const request = { method: 'GET', path: blobPath(blob.digest), headers, signal } as const
    const response = await http.send(pace ? { ...request, pace } : request)
    try {
      await receive(response, file, { blob, offset })
    } finally {
      response.destroy()
    }
  }
  await file.sync()
}

interface Position {
  readonly blob: BlobReference
  readonly offset: number
}

async function receive(response: IncomingMessage, file: FileHandle, position: Position): Promise<void> {
  const { blob } = position
  let offset = await startOfBody(response, file, position)
  const announced = byteCountHeader(response.headers, 'content-length')
  if (announced !== undefined && announced !== blob.size - offset) throw tooLong(blob, offset + announced)
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (offset + chunk.length > blob.size) {
      await file.truncate(0)
      throw tooLong(blob, offset + chunk.length)
    }
    await file.write(chunk)
    offset += chunk.length
  }
  if (offset < blob.size) {
    throw new Error(`blob ${blob.digest}: the connection ended after ${offset} of ${blob.size} bytes`)
  }
}

/** The offset at which the response's body starts; the file then ends there. */
async function startOfBody(response: IncomingMessage, file: FileHandle, position: Position): Promise<number> {
  const { blob, offset } = position
  switch (response.statusCode) {
    case 200:
      await file.truncate(0)
      return 0
    case 206:
      if (response.headers['content-range'] === `bytes ${offset}-${blob.size - 1}/${blob.size}`) return offset
      await file.truncate(0)
      throw new Error(
        `blob ${blob.digest}: asked for bytes from ${offset} of ${blob.size}, got ${response.headers['content-range'] ?? 'no content-range'}`,
      )
    case 416:
      await file.truncate(0)
      throw new Error(`blob ${blob.digest}: the hub has no byte ${offset} of it`)
    default:
      throw await failure(response, blob)
  }
}

async function failure(response: IncomingMessage, blob: BlobReference): Promise<Error> {
  const status = response.statusCode ?? 0
  const { title, detail } = await readProblem(response)
  const message = `blob ${blob.digest}: the hub answered ${status} ${title}: ${detail}`
  const passing = status >= 500 || PASSING_STATUSES.has(status)
  return passing ? new Error(message) : new DownloadRefused(title, message)
}

function tooLong(blob: BlobReference, bytes: number): DownloadRefused {
  return new DownloadRefused(
    'BlobSizeMismatch',
    `blob ${blob.digest}: announced with ${blob.size} bytes, the hub sends ${bytes}`,
  )
}

async function verify(blob: BlobReference, partial: string): Promise<void> {
  const digest = await digestOfFile(partial)
  if (digest === blob.digest) return
  await rm(partial, { force: true })
  throw new BlobCorrupt(`blob ${blob.digest}: the bytes received have the digest ${digest}`)
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}
