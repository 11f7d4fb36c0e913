// Takes updates: resumable by offset, checked on their way to the disk, and acknowledged only once both the bytes and the
// record that makes them count are durable. One request at a time writes an update; a newer one
// takes over from one that hangs, because a connection that died half-open would else block its own successor.
import { constants } from 'node:fs'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { UpdateCheck } from '#federation/aggregation/check-update.ts'
import type { Kernels } from '#federation/aggregation/kernels.ts'
import type { UploadCodec } from '#federation/tensors/configuration.ts'
import { receiveBody, type BodyEnd } from '#federation/wire/body.ts'
import { MAXIMUM_CHUNK_BYTES, UPLOAD_HEADERS } from '#federation/wire/names.ts'
import { IdleTimer } from '../serving/blob-server.ts'
import { TierError } from '../serving/errors.ts'
import { requireMethod, type Exchange, type UpdateKey } from '../serving/http.ts'
import type { HubMetrics } from '../serving/metrics.ts'
import type { Clock } from '../clock.ts'
import type { ReviewedIdentity } from '../serving/identity.ts'
import { noteDropped } from '../rounds/acceptance.ts'
import type { Campaign } from '../rounds/campaign.ts'
import { bytesIn } from '../rounds/round.ts'
import { withRoom } from '../rounds/shortage.ts'
import { SpoolFile } from './spool-file.ts'
import { listDirectory, makeDirectory, sizeOf } from '../store/files.ts'
import { Room } from '../store/room.ts'
import type { SpareFiles } from '../store/spares.ts'
import { Takeover } from './takeover.ts'
import { UploadChecks } from './upload-checks.ts'
import { candidateOf, type Candidate } from './candidate.ts'
import { alreadyAccepted, refused } from './upload-refusals.ts'
import { announcedDigest, type Transfer } from './upload-headers.ts'
import { acceptedOf, targetOf, type Target } from './upload-target.ts'

export interface UploadsContext {
  readonly campaign: (uid: string) => Campaign | undefined
  readonly clock: Clock
  readonly metrics: HubMetrics
  readonly idleMs: number
  readonly kernels: Kernels
  readonly spares: SpareFiles
}

/** The bytes that are durable after a request, and the check that has seen them. */
interface Spooled {
  readonly path: string
  readonly check: UpdateCheck
}

export class Uploads {
  readonly #context: UploadsContext
  readonly #takeover = new Takeover()
  readonly #checks: UploadChecks
  readonly #room: Room

  constructor(context: UploadsContext) {
    this.#context = context
    this.#checks = new UploadChecks(context.kernels)
    this.#room = new Room(context.spares)
  }

  async serve(exchange: Exchange, identity: ReviewedIdentity, key: UpdateKey): Promise<void> {
    const method = requireMethod(exchange, ['HEAD', 'PATCH'])
    const { headers } = exchange.request
    const target = await targetOf(this.#context.campaign(key.campaign), identity, { key, headers })
    try {
      const outcome = await (method === 'HEAD' ? this.#head(exchange, target) : this.#patch(exchange, target))
      this.#context.metrics.uploadsEnded.inc({ outcome })
    } catch (error) {
      const outcome = error instanceof TierError ? error.reason : 'Aborted'
      this.#context.metrics.uploadsEnded.inc({ outcome })
      throw error
    }
  }

  /**
   * Whoever asks sends nothing at present: a request that still holds the update ends first, so that nothing is accepted
   * after the answer said that nothing was, except what is sent anew.
   */
  async #head({ request, response }: Exchange, target: Target): Promise<string> {
    const digest = announcedDigest(request.headers)
    const path = bytesIn(target.directory, digest)
    const { complete, offset } = await this.#takeover.run(keyOf(target), doNothing, async () => {
      const accepted = acceptedOf(target)
      const complete = accepted?.digest === digest
      return { complete, offset: complete ? accepted.size : await durableSize(path) }
    })
    response.writeHead(200, {
      [UPLOAD_HEADERS.offset]: offset,
      ...(complete && { [UPLOAD_HEADERS.complete]: '?1' }),
      'cache-control': 'no-store',
    })
    response.end()
    return 'Asked'
  }

  async #patch(exchange: Exchange, target: Target): Promise<string> {
    const candidate = candidateOf(target, exchange.request.headers)
    const { announced } = candidate
    if (await this.#isAccepted(target, announced)) return this.#acknowledge(exchange, announced)
    try {
      candidate.refuseUnfit()
      return await this.#take(exchange, target, candidate)
    } catch (error) {
      if (error instanceof TierError && error.kind === 'gone') await this.#drop(target)
      throw error
    }
  }

  async #drop(target: Target): Promise<void> {
    const { campaign, round, participant, offered } = target
    // The merge has freed the disk already, and does not come back for what arrived after it.
    if (round.result) await this.#takeover.run(keyOf(target), doNothing, () => dropUnaccepted(target))
    const nodes = offered ? offered.members.map(({ node }) => node) : [participant]
    await noteDropped(campaign, round, ...nodes)
  }

  #isAccepted(target: Target, { digest }: Transfer): Promise<boolean> {
    return alreadyAccepted(target, digest, this.#context.clock.now())
  }

  #take(exchange: Exchange, target: Target, candidate: Candidate): Promise<string> {
    const announcement = candidate.announced
    return this.#takeover.run(
      keyOf(target),
      () => exchange.request.destroy(new Error('a newer request has taken over')),
      async () => {
        if (await this.#isAccepted(target, announcement)) return this.#acknowledge(exchange, announcement)
        const bytes = announcement.length - announcement.offset
        const spool = () => this.#spool(exchange, target, announcement)
        const spooled = await withRoom(this.#room, target.campaign, bytes, spool)
        if (spooled.check.size < announcement.length) {
          this.#checks.keep(spooled.path, spooled.check)
          return answerPartial(exchange, spooled.check.size)
        }
        await this.#accept(candidate, spooled)
        return this.#acknowledge(exchange, announcement)
      },
    )
  }

  /** Writes the request's body to the disk; everything is durable afterwards. */
  async #spool({ request }: Exchange, target: Target, announcement: Transfer): Promise<Spooled> {
    await makeDirectory(target.directory)
    await dropOthers(target, announcement.digest)
    const path = bytesIn(target.directory, announcement.digest)
    const whole = bringsAll(request, announcement) ? announcement.length : undefined
    const file = await SpoolFile.open({ path, whole, spares: this.#context.spares })
    try {
      const { size, handle } = file
      if (announcement.offset !== size) throw offsetMismatch(announcement.offset, size)
      const check = await this.#checks.take(path, handle, { size, codec: codecOf(target) })
      const named = file.name()
      named.catch(() => undefined)
      const room = Math.min(MAXIMUM_CHUNK_BYTES, announcement.length - size)
      const end = await this.#receive(request, { file: handle, check, room })
      if (end !== 'whole') {
        await file.leave(check.size)
        this.#checks.keep(path, check)
        throw end === 'tooLong' ? tooLarge(room) : interrupted()
      }
      await Promise.all([file.finish(check.size), named])
      return { path, check }
    } finally {
      await file.close()
    }
  }

  async #receive(
    request: Exchange['request'],
    target: { file: FileHandle; check: UpdateCheck; room: number },
  ): Promise<BodyEnd> {
    const idle = new IdleTimer(this.#context.idleMs, () =>
      request.destroy(new Error('the upload stood still')),
    )
    const onBytes = (count: number): void => {
      idle.touch()
      this.#context.metrics.bytesReceived.inc(count)
    }
    try {
      return await receiveBody(request, { ...target, onBytes })
    } finally {
      idle.stop()
    }
  }

  /** Judges the whole update, whose bytes are on the disk, and makes it count. */
  async #accept(candidate: Candidate, { path, check }: Spooled): Promise<void> {
    const { digest, length: size } = candidate.announced
    const verdict = check.verdict({ size, digest })
    const problem = verdict.ok ? await candidate.problemWith(path) : verdict.detail
    if (problem !== undefined) {
      await rm(path, { force: true })
      throw refused(problem)
    }
    await candidate.accept(this.#context.clock.now())
  }

  #acknowledge({ request, response }: Exchange, { length }: Transfer): string {
    request.resume()
    response.writeHead(201, { [UPLOAD_HEADERS.offset]: length, [UPLOAD_HEADERS.complete]: '?1' })
    response.end()
    return 'Accepted'
  }
}

function bringsAll({ headers }: Exchange['request'], { offset, length }: Transfer): boolean {
  return offset === 0 && Number(headers['content-length']) === length
}

function keyOf({ campaign, directory }: Target): string {
  return `${campaign.uid} ${directory}`
}

/** A sum is float32, whatever carried its members. */
function codecOf({ campaign, offered }: Target): UploadCodec['type'] {
  return offered ? 'Float32' : campaign.codec.type
}

/** For work that ends by itself soon enough. */
const doNothing = (): void => undefined

function answerPartial({ response }: Exchange, offset: number): string {
  response.writeHead(204, { [UPLOAD_HEADERS.offset]: offset })
  response.end()
  return 'Partial'
}

async function dropUnaccepted(target: Target): Promise<void> {
  await dropOthers(target, acceptedOf(target)?.digest)
}

async function dropOthers({ directory }: Target, kept: string | undefined): Promise<void> {
  const own = kept && bytesIn(directory, kept)
  for (const name of await listDirectory(directory)) {
    const path = join(directory, name)
    if (name.endsWith('.update') && path !== own) await rm(path, { force: true })
  }
}

/** Bytes of a partial upload after making sure that they are on the disk. */
async function durableSize(path: string): Promise<number> {
  const size = await sizeOf(path)
  if (size === undefined) return 0
  const file = await open(path, constants.O_RDWR)
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
  return size
}

function interrupted(): TierError {
  return new TierError('unavailable', 'UploadInterrupted', 'the connection ended before the body did')
}

function tooLarge(room: number): TierError {
  return new TierError(
    'tooLarge',
    'BodyTooLarge',
    `the body is longer than the ${room} bytes that may follow here`,
  )
}

function offsetMismatch(announced: number, size: number): TierError {
  const headers = { [UPLOAD_HEADERS.offset]: String(size) }
  return new TierError(
    'conflict',
    'OffsetMismatch',
    `the body starts at ${announced}; the next byte is ${size}`,
    headers,
  )
}
