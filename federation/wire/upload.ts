// Sends one participant's update to the hub, resuming where the hub's disk ends, until the hub has given its verdict:
// accepted (durably), late or refused. Connections may break at any byte; a verdict is final and never asked for again.
// Only the signal ends the attempts: how long an update is worth sending is the caller's to know.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { open } from 'node:fs/promises'
import type { Writable } from 'node:stream'

import { Backoff, type BackoffOptions, sleep } from './backoff.ts'
import { type Pace, type Sender, byteCountHeader, readProblem } from './http.ts'
import { MAXIMUM_BLOB_BYTES, MAXIMUM_CHUNK_BYTES, UPLOAD_HEADERS, updatePath } from './names.ts'
import type { Pacer } from './pacer.ts'
import { type ByteRange, sendFile } from './send-file.ts'

interface UpdateFile {
  readonly campaign: string
  readonly round: number
  readonly participant: string
  /** File of the update's bytes. */
  readonly path: string
  /** Its bytes. */
  readonly size: number
  readonly digest: string
  /** Digest of the global parameters that training started from. */
  readonly parameters: string
  /** True when nothing of it was ever sent: sending begins without asking the hub how far it is. */
  readonly neverSent?: boolean
}

export interface Update extends UpdateFile {
  readonly samples: number
  readonly steps: number
  readonly loss: number
  /** Where the strategy wants it. */
  readonly initialLoss?: number | undefined
}

/** The sum of a tier's updates, under the tier's name. */
export interface IntermediateUpdate extends UpdateFile {
  /** Digest of the offer that says whose updates these are, and of how many samples. */
  readonly members: string
}

type AnyUpdate = Update | IntermediateUpdate

export type UploadOutcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'late'; readonly detail: string }
  | { readonly kind: 'refused'; readonly reason: string; readonly detail: string }

export interface UploadOptions {
  readonly http: Sender
  readonly signal: AbortSignal
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Called before each wait for another attempt. */
  readonly onRetry?: (error: Error, waitMs: number) => void
  /** Bytes of one request's body. */
  readonly chunkBytes?: number
  readonly backoff?: BackoffOptions | undefined
  readonly pace?: Pace
}

/** What one request brought: a verdict, or the bytes that are safely on the hub's disk. */
type Step = { readonly outcome: UploadOutcome } | { readonly offset: number }

export async function uploadUpdate(update: AnyUpdate, options: UploadOptions): Promise<UploadOutcome> {
  const backoff = new Backoff(options.random, options.backoff)
  let furthest = 0
  const onOffset = (offset: number) => {
    if (offset > furthest) backoff.reset()
    furthest = Math.max(furthest, offset)
  }
  let start: Step | undefined = update.neverSent === true ? { offset: 0 } : undefined
  const attempt = async () => {
    const step = start ?? (await ask(update, options))
    start = undefined
    return await sendRest(step, update, options, onOffset)
  }
  return await untilAnswered(attempt, options, backoff)
}

/** What names an update: the key of exactly-once, and its bytes. */
export type UpdateName = Pick<Update, 'campaign' | 'round' | 'participant' | 'digest'> &
  Partial<Pick<IntermediateUpdate, 'members'>>

/** Whether the hub has accepted this very update. Asked until it answers; what it has no record of, it has not accepted. */
export async function isAccepted(update: UpdateName, options: UploadOptions): Promise<boolean> {
  const backoff = new Backoff(options.random, options.backoff)
  return await untilAnswered(async () => 'outcome' in (await ask(update, options)), options, backoff)
}

async function untilAnswered<Answer>(
  attempt: () => Promise<Answer>,
  options: UploadOptions,
  backoff: Backoff,
): Promise<Answer> {
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      options.signal.throwIfAborted()
      if (!(error instanceof Error)) throw error
      const waitMs = backoff.next()
      options.onRetry?.(error, waitMs)
      await sleep(waitMs, options.signal)
    }
  }
}

/** One attempt: from where the hub is to its verdict. */
async function sendRest(
  start: Step,
  update: AnyUpdate,
  options: UploadOptions,
  onOffset: (offset: number) => void,
): Promise<UploadOutcome> {
  let step = start
  while ('offset' in step) {
    onOffset(step.offset)
    step = await sendFrom(step.offset, update, options)
  }
  return step.outcome
}

/** How far the hub is. */
async function ask(update: UpdateName & { size?: number }, options: UploadOptions): Promise<Step> {
  const response = await options.http.send({
    method: 'HEAD',
    path: pathOf(update),
    headers: {
      [UPLOAD_HEADERS.digest]: update.digest,
      ...(update.members !== undefined && { [UPLOAD_HEADERS.members]: update.members }),
    },
    signal: options.signal,
    ...(options.pace && { pace: options.pace }),
  })
  response.resume()
  if (response.statusCode === 200) {
    return isComplete(response.headers) ? ACCEPTED : { offset: offsetHeader(response.headers, update) }
  }
  // An answer to HEAD has no body that could say why; the same question as PATCH has.
  if (isFinal(response.statusCode ?? 0)) return { offset: 0 }
  throw new Error(`asking how much of the update has arrived: the hub answered ${response.statusCode ?? 0}`)
}

async function sendFrom(offset: number, update: AnyUpdate, options: UploadOptions): Promise<Step> {
  const length = Math.min(options.chunkBytes ?? MAXIMUM_CHUNK_BYTES, update.size - offset)
  const range = { start: offset, end: offset + length }
  const response = await options.http.send({
    method: 'PATCH',
    path: pathOf(update),
    headers: {
      ...describe(update),
      [UPLOAD_HEADERS.offset]: String(offset),
      'content-length': String(length),
    },
    ...(length > 0 && {
      body: async (outgoing: Writable, pacer) => sendPart(update.path, range, outgoing, pacer),
    }),
    signal: options.signal,
    ...(options.pace && { pace: options.pace }),
  })
  return await verdict(response, update, offset)
}

async function sendPart(
  path: string,
  range: ByteRange,
  outgoing: Writable,
  pacer: Pacer | undefined,
): Promise<void> {
  await using file = await open(path)
  await sendFile(file, range, outgoing, { pacer })
}

function describe(update: AnyUpdate): Record<string, string> {
  return {
    [UPLOAD_HEADERS.length]: String(update.size),
    [UPLOAD_HEADERS.digest]: update.digest,
    [UPLOAD_HEADERS.parameters]: update.parameters,
    ...('members' in update ? { [UPLOAD_HEADERS.members]: update.members } : factsOf(update)),
    'content-type': 'application/octet-stream',
  }
}

function factsOf({ samples, steps, loss, initialLoss }: Update): Record<string, string> {
  return {
    [UPLOAD_HEADERS.samples]: String(samples),
    [UPLOAD_HEADERS.steps]: String(steps),
    [UPLOAD_HEADERS.loss]: String(loss),
    ...(initialLoss !== undefined && { [UPLOAD_HEADERS.initialLoss]: String(initialLoss) }),
  }
}

async function verdict(response: IncomingMessage, update: AnyUpdate, sentFrom: number): Promise<Step> {
  const status = response.statusCode ?? 0
  if (status === 201 || status === 204) {
    response.resume()
    return isComplete(response.headers) ? ACCEPTED : nextOffset(response.headers, update, sentFrom)
  }
  const { title, detail } = await readProblem(response)
  if (status === 409 && title === 'OffsetMismatch') return nextOffset(response.headers, update, sentFrom)
  if (status === 410) return { outcome: { kind: 'late', detail } }
  if (isFinal(status)) return { outcome: { kind: 'refused', reason: title, detail } }
  throw new Error(`sending the update from byte ${sentFrom}: the hub answered ${status} ${title}: ${detail}`)
}

/** A hub that does not get further could be asked in a loop without a pause: that is a failed attempt. */
function nextOffset(headers: IncomingHttpHeaders, update: AnyUpdate, sentFrom: number): Step {
  const offset = offsetHeader(headers, update)
  if (offset <= sentFrom) throw new Error(`the hub stays at byte ${offset} of the update`)
  return { offset }
}

function offsetHeader(
  headers: IncomingHttpHeaders,
  { size = MAXIMUM_BLOB_BYTES }: { size?: number },
): number {
  const offset = byteCountHeader(headers, UPLOAD_HEADERS.offset)
  if (offset !== undefined && offset <= size) return offset
  const got = String(headers[UPLOAD_HEADERS.offset])
  throw new Error(`the hub's ${UPLOAD_HEADERS.offset} is ${got}, expected 0 to ${size}`)
}

function isComplete(headers: IncomingHttpHeaders): boolean {
  return headers[UPLOAD_HEADERS.complete] === '?1'
}

/** Client errors are verdicts, but for those that pass: token being rotated, time-out, too many requests. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 408, 425, 429].includes(status)
}

function pathOf(update: UpdateName): string {
  return updatePath(update.campaign, update.round, update.participant)
}

const ACCEPTED: Step = { outcome: { kind: 'accepted' } }
