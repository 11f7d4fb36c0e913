// Cuts a byte stream into lines. Holds at most one unfinished line, and refuses one that grows beyond the limit.

import { ApiError } from './errors.ts'

const NEWLINE = 0x0a

export class LineSplitter {
  readonly #maxLineBytes: number
  /** Pieces of the unfinished line. */
  #pieces: Buffer[] = []
  #size = 0
  /** Finished lines, oldest first. */
  #lines: Buffer[] = []

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  push(chunk: Buffer): void {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#extend(chunk.subarray(start, end))
      this.#finish()
      start = end + 1
    }
    this.#extend(chunk.subarray(start))
  }

  /** The oldest finished line; empty lines are skipped. */
  shift(): Buffer | undefined {
    return this.#lines.shift()
  }

  #extend(piece: Buffer): void {
    if (piece.length === 0) return
    this.#size += piece.length
    if (this.#size > this.#maxLineBytes) {
      const message = `watch: line longer than ${String(this.#maxLineBytes)} bytes`
      throw new ApiError({ status: 0, reason: 'ResponseTooLarge', message })
    }
    this.#pieces.push(piece)
  }

  #finish(): void {
    if (this.#size > 0) this.#lines.push(Buffer.concat(this.#pieces, this.#size))
    this.#pieces = []
    this.#size = 0
  }
}
