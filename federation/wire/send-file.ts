// Sends part of a file over a connection. Two buffers take turns, one being read into while the other is on its way, so that
// nothing is allocated for a piece and nobody has to collect it afterwards; a slow receiver makes the disk wait.
import type { FileHandle } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

import type { Pacer } from './pacer.ts'

const PIECE_BYTES = 256 * 1024

/** Bytes `start` to before `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface SendOptions {
  /** Called with the length of each piece that the system has taken. */
  readonly onSent?: (bytes: number) => void
  /** Without one, as fast as the connection is. */
  readonly pacer?: Pacer | undefined
}

/**
 * Fulfilled once the system has taken all bytes; the stream is left open. Rejects when the file is too short or the
 * connection ends.
 */
export async function sendFile(
  file: FileHandle,
  { start, end }: ByteRange,
  outgoing: Writable,
  { onSent, pacer }: SendOptions = {},
): Promise<void> {
  const pieceBytes = Math.min(PIECE_BYTES, end - start, pacer?.pieceBytes ?? Infinity)
  let [current, other] = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)]
  let sent: Promise<void> = Promise.resolve()
  for (let at = start; at < end;) {
    const piece = current.subarray(0, Math.min(pieceBytes, end - at))
    const { bytesRead } = await file.read(piece, 0, piece.length, at)
    if (bytesRead === 0) throw new Error(`the file ends at byte ${at}, not at ${end}`)
    await sent
    sent = write(outgoing, piece.subarray(0, bytesRead)).then(() => onSent?.(bytesRead))
    // Whoever awaits it may still be reading the file.
    sent.catch(() => undefined)
    at += bytesRead
    if (pacer) await delay(pacer.waitMs(bytesRead, performance.now()))
    ;[current, other] = [other, current]
  }
  await sent
}

/** Fulfilled when the bytes may be overwritten. A connection that ends may never say so. */
async function write(outgoing: Writable, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const gone = (): void => reject(new Error('the connection ended before everything was sent'))
    outgoing.once('close', gone)
    outgoing.write(bytes, (error) => {
      outgoing.off('close', gone)
      if (error) reject(error)
      else resolve()
    })
  })
}
