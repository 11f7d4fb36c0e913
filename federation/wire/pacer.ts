// Keeps a sender at a number of bytes a second, evenly: after each piece it waits until the piece would have been sent at that
// speed. Time that was lost otherwise (a slow disk, a slow receiver) is made up for during a tenth of a second and no longer, so
// that a rate is never exceeded by much over any second.

/** A lower limit could not be told from a connection that stands still. */
export const LEAST_BYTES_PER_SECOND = 1024

const MAKE_UP_MS = 100
/** Pieces a second, so that the waits between them are short. */
const PIECES_A_SECOND = 8

export class Pacer {
  readonly bytesPerSecond: number
  #dueMs = -Infinity

  /** @param bytesPerSecond at least LEAST_BYTES_PER_SECOND */
  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond
  }

  /** Bytes to send between two waits at most. */
  get pieceBytes(): number {
    return Math.ceil(this.bytesPerSecond / PIECES_A_SECOND)
  }

  /** Milliseconds to wait after so many bytes were sent. @param nowMs of a clock that never goes back */
  waitMs(bytes: number, nowMs: number): number {
    this.#dueMs = Math.max(this.#dueMs, nowMs - MAKE_UP_MS) + (1000 * bytes) / this.bytesPerSecond
    return Math.max(0, this.#dueMs - nowMs)
  }
}
