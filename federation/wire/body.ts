// Brings the body of a request or a response to the disk in large writes, and shows every byte to a check on the way, so that
// nothing is read again. While one batch is written the next arrives and the one being written is checked; a sender that is faster than the
// disk is made to wait. What had arrived when a connection ended is on the disk as well: the sender goes on from there.
import type { FileHandle } from 'node:fs/promises'
import { finished, type Readable } from 'node:stream'

/** Bytes that make a batch; about twice as many are in memory for one body. */
const BATCH_BYTES = 1024 * 1024
/** Pieces that make a batch, however small they are. */
const BATCH_PIECES = 256
/** Bytes after which the disk begins to make durable what it was given, while more arrives. */
const FLUSH_BYTES = 4 * BATCH_BYTES
/** What has arrived is written after this time even if it is little: on a slow link, progress must survive, too. */
const LONGEST_WAIT_MS = 100

/** Looks at the bytes of a file from its first one on. */
export interface BodyCheck {
  /** Bytes seen so far. */
  readonly size: number
  /** Takes the bytes that follow. */
  push(bytes: Uint8Array): void
}

export interface BodyTarget {
  readonly file: FileHandle
  /** Knows the file's bytes so far, and is shown those that follow. */
  readonly check: BodyCheck
  /** The most bytes that may come. */
  readonly room: number
  readonly onBytes?: (count: number) => void
}

export type BodyEnd = 'whole' | 'interrupted' | 'tooLong'

/** Rejects when the disk does; then the check no longer says what the file holds. The body is not destroyed. */
export async function receiveBody(body: Readable, target: BodyTarget): Promise<BodyEnd> {
  const batches = new Batches(body, target)
  const flushes = new Flushes(target.file)
  try {
    for (let batch = await batches.next(); batch.length > 0; batch = await batches.next()) {
      const written = writeFully(target.file, batch, target.check.size)
      // Should checking throw, the write has been waited for by nobody.
      written.catch(() => undefined)
      for (const piece of batch) target.check.push(piece)
      await written
      for (const piece of batch) release(piece)
      flushes.wrote(target.check.size)
    }
  } finally {
    batches.release()
    await flushes.end()
  }
  flushes.throwIfFailed()
  return batches.end ?? 'interrupted'
}

/** Shows a check the bytes of a file from where it is to before `end`: those that were written when nobody looked. */
export async function catchUp(check: BodyCheck, file: FileHandle, end: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(BATCH_BYTES, Math.max(0, end - check.size)))
  while (check.size < end) {
    const wanted = Math.min(buffer.length, end - check.size)
    const { bytesRead } = await file.read(buffer, 0, wanted, check.size)
    if (bytesRead === 0) throw new Error(`the file ends at byte ${check.size}, not at ${end}`)
    check.push(buffer.subarray(0, bytesRead))
  }
}

/**
 * Has the disk work while the network does, so that the flush before an acknowledgement finds little left to do. An error is
 * kept and thrown: the kernel tells of it once, and that later flush would not hear of it.
 */
class Flushes {
  readonly #file: FileHandle
  #running: Promise<void> | undefined
  #next = FLUSH_BYTES
  #failure: Error | undefined

  constructor(file: FileHandle) {
    this.#file = file
  }

  wrote(size: number): void {
    if (this.#running || size < this.#next) return
    this.#next = size + FLUSH_BYTES
    this.#running = this.#flush()
  }

  /** The file may be closed after this. */
  async end(): Promise<void> {
    await this.#running
  }

  throwIfFailed(): void {
    if (this.#failure) throw this.#failure
  }

  async #flush(): Promise<void> {
    try {
      await this.#file.datasync()
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
    } finally {
      this.#running = undefined
    }
  }
}

/** Collects what a body's events bring. */
class Batches {
  readonly #body: Readable
  readonly #target: BodyTarget
  readonly #onData = (piece: Buffer): void => this.#take(piece)
  readonly #forget: () => void
  #pieces: Buffer[] = []
  #bytes = 0
  #received = 0
  #wake: (() => void) | undefined
  #due: NodeJS.Timeout | undefined
  /** How the body ended; undefined while more may come. */
  end: BodyEnd | undefined

  constructor(body: Readable, target: BodyTarget) {
    this.#body = body
    this.#target = target
    this.#forget = finished(body, { writable: false }, (error) =>
      this.#finish(error ? 'interrupted' : 'whole'),
    )
    body.on('data', this.#onData)
  }

  /** The next batch; what is left when the body has ended; nothing after that. */
  async next(): Promise<Buffer[]> {
    if (!this.#isFull() && this.end === undefined) {
      if (this.#bytes > 0) this.#wakeSoon()
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    clearTimeout(this.#due)
    const batch = this.#pieces
    this.#pieces = []
    this.#bytes = 0
    if (this.end === undefined) this.#body.resume()
    return batch
  }

  /** Leaves the body to whoever comes next. */
  release(): void {
    clearTimeout(this.#due)
    this.#body.off('data', this.#onData)
    this.#forget()
  }

  #take(piece: Buffer): void {
    if (this.end !== undefined) return
    this.#received += piece.byteLength
    if (this.#received > this.#target.room) {
      this.#finish('tooLong')
      return
    }
    this.#target.onBytes?.(piece.byteLength)
    this.#pieces.push(piece)
    this.#bytes += piece.byteLength
    if (this.#isFull()) {
      this.#body.pause()
      this.#wake?.()
    } else if (this.#bytes === piece.byteLength) this.#wakeSoon()
  }

  #wakeSoon(): void {
    clearTimeout(this.#due)
    this.#due = setTimeout(() => this.#wake?.(), LONGEST_WAIT_MS)
  }

  #finish(end: BodyEnd): void {
    this.end ??= end
    this.#wake?.()
  }

  #isFull(): boolean {
    return this.#bytes >= BATCH_BYTES || this.#pieces.length >= BATCH_PIECES
  }
}

/**
 * Gives a piece's memory back at once. Left to the garbage collector, megabytes of pieces pile up, and it then goes through the
 * whole heap again and again: more work than receiving. A piece that shares its memory with others is left alone.
 */
function release({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

async function writeFully(file: FileHandle, pieces: readonly Buffer[], position: number): Promise<void> {
  let rest = [...pieces]
  let at = position
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, at)
    at += bytesWritten
    rest = after(rest, bytesWritten)
  }
}

/** What of the pieces comes after the first `count` bytes. */
function after(pieces: readonly Buffer[], count: number): Buffer[] {
  let left = count
  return pieces.flatMap((piece) => {
    const skipped = Math.min(left, piece.byteLength)
    left -= skipped
    return skipped === piece.byteLength ? [] : [piece.subarray(skipped)]
  })
}
