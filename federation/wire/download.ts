// Fetches a content-addressed blob from the hub into a folder. The file appears under its final name only when it is
// whole, has the announced digest and is on disk; until then a `.partial` file beside it holds what has arrived, also
// across restarts. Never more bytes than announced are written, and none is read again but those that an earlier process
// left. One caller at a time for a folder.
import { constants } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { Backoff, type BackoffOptions, sleep } from './backoff.ts'
import { catchUp, receiveBody } from './body.ts'
import { RunningDigest, digestHex, digestOfFile } from './digest.ts'
import { syncFolder } from './durable.ts'
import { type Pace, type Sender, byteCountHeader, readProblem } from './http.ts'
import { MAXIMUM_BLOB_BYTES, blobPath } from './names.ts'
import type { VerifiedFiles } from './verified-files.ts'

export interface BlobReference {
  readonly digest: string
  /** Bytes. */
  readonly size: number
}

export interface DownloadOptions {
  readonly http: Sender
  readonly signal: AbortSignal
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Called before each wait for another attempt. */
  readonly onRetry?: (error: Error, waitMs: number) => void
  /** Attempts in a row that bring no further byte before giving up. */
  readonly maximumFruitlessAttempts?: number
  readonly backoff?: BackoffOptions
  readonly pace?: Pace
  /** Files that need not be read to know that they are whole. */
  readonly verified?: VerifiedFiles
}

/** A download that another attempt would not mend. `reason` is CamelCase, the message a sentence. */
export class DownloadRefused extends Error {
  override readonly name = 'DownloadRefused'
  readonly reason: string

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options)
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
  const partial = new Partial(`${path}.partial`)
  await mkdir(folder, { recursive: true })
  if (await isWhole(path, blob, options.verified)) return path
  const patience = new Patience(options)
  for (;;) {
    const before = await sizeOf(partial.path)
    try {
      await fetchRest(blob, partial, options)
      await rename(partial.path, path)
      await syncFolder(folder)
      await options.verified?.add(path)
      return path
    } catch (error) {
      options.signal.throwIfAborted()
      const progress = (await sizeOf(partial.path)) > before
      await patience.afterFailure(error, progress)
    }
  }
}

/** What has arrived of a blob, with its digest: kept from attempt to attempt, so that no byte is read twice. */
class Partial {
  readonly path: string
  #digest: RunningDigest | undefined

  constructor(path: string) {
    this.path = path
  }

  /** The digest of the file's bytes so far. It belongs to the caller until it is kept again. */
  async take(file: FileHandle): Promise<RunningDigest> {
    const { size } = await file.stat()
    const kept = this.#digest
    this.#digest = undefined
    if (kept?.size === size) return kept
    const digest = new RunningDigest()
    await catchUp(digest, file, size)
    return digest
  }

  /** For the next attempt; it must be the digest of exactly what the file holds. */
  keep(digest: RunningDigest): void {
    this.#digest = digest
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
  throw new DownloadRefused('DiskUnusable', error.message, { cause: error })
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

async function isWhole(path: string, blob: BlobReference, verified?: VerifiedFiles): Promise<boolean> {
  if (await verified?.has(path)) return true
  if ((await sizeOf(path)) !== blob.size) return false
  if ((await digestOfFile(path).catch(() => '')) !== blob.digest) return false
  await verified?.add(path)
  return true
}

/** Afterwards the partial file is whole, has the announced digest and is on the disk. */
async function fetchRest(blob: BlobReference, partial: Partial, options: DownloadOptions): Promise<void> {
  await using file = await open(partial.path, constants.O_RDWR | constants.O_CREAT)
  if ((await file.stat()).size > blob.size) await file.truncate(0)
  let digest = await partial.take(file)
  if (digest.size < blob.size) {
    const { http, signal, pace } = options
    const headers: Record<string, string> = digest.size > 0 ? { range: `bytes=${digest.size}-` } : {}
    const request = { method: 'GET', path: blobPath(blob.digest), headers, signal } as const
    const response = await http.send(pace ? { ...request, pace } : request)
    try {
      digest = await atStartOfBody(response, file, { blob, digest })
      await receive(response, file, { blob, digest })
    } finally {
      response.destroy()
      if ((await file.stat()).size === digest.size) partial.keep(digest)
    }
  }
  await file.sync()
  if (digest.value() === blob.digest) return
  await rm(partial.path, { force: true })
  throw new BlobCorrupt(`blob ${blob.digest}: the bytes received have the digest ${digest.value()}`)
}

interface Position {
  readonly blob: BlobReference
  /** Of the bytes that are there. */
  readonly digest: RunningDigest
}

async function receive(
  response: IncomingMessage,
  file: FileHandle,
  { blob, digest }: Position,
): Promise<void> {
  const room = blob.size - digest.size
  const announced = byteCountHeader(response.headers, 'content-length')
  if (announced !== undefined && announced !== room) throw tooLong(blob, digest.size + announced)
  const end = await receiveBody(response, { file, check: digest, room })
  if (end === 'tooLong') {
    await file.truncate(0)
    throw tooLong(blob)
  }
  if (digest.size < blob.size) {
    const cause = response.errored?.message ?? 'the connection ended'
    throw new Error(`blob ${blob.digest}: ${cause}, after ${digest.size} of ${blob.size} bytes`)
  }
}

/** The digest of what the file holds when the response's body starts; the file ends there. */
async function atStartOfBody(
  response: IncomingMessage,
  file: FileHandle,
  { blob, digest }: Position,
): Promise<RunningDigest> {
  switch (response.statusCode) {
    case 200:
      // Only when it must be: a connection that ends before anybody reads its body takes along what had arrived of it.
      if (digest.size > 0) await file.truncate(0)
      return new RunningDigest()
    case 206: {
      const range = response.headers['content-range']
      if (range === `bytes ${digest.size}-${blob.size - 1}/${blob.size}`) return digest
      await file.truncate(0)
      const got = range ?? 'no content-range'
      throw new Error(`blob ${blob.digest}: asked for bytes from ${digest.size} of ${blob.size}, got ${got}`)
    }
    case 416:
      await file.truncate(0)
      throw new Error(`blob ${blob.digest}: the hub has no byte ${digest.size} of it`)
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

function tooLong(blob: BlobReference, bytes?: number): DownloadRefused {
  return new DownloadRefused(
    'BlobSizeMismatch',
    `blob ${blob.digest}: announced with ${blob.size} bytes, the hub sends ${bytes ?? 'more'}`,
  )
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}
