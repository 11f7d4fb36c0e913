// Content digests as they stand on the wire: `sha256:` and 64 lower-case hexadecimal digits.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

const DIGEST = /^sha256:[0-9a-f]{64}$/

export function isDigest(value: string): boolean {
  return DIGEST.test(value)
}

/** The 64 digits of a digest; they are safe as a file name. */
export function digestHex(digest: string): string {
  if (!isDigest(digest)) {
    throw new Error(
      `digest ${JSON.stringify(digest.slice(0, 100))}: expected sha256: and 64 hexadecimal digits`,
    )
  }
  return digest.slice('sha256:'.length)
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** The digest of bytes that pass by. */
export class RunningDigest {
  readonly #hash = createHash('sha256')
  #size = 0

  /** Bytes taken so far. */
  get size(): number {
    return this.#size
  }

  push(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#size += bytes.byteLength
  }

  /** Of the bytes so far; more may follow. */
  value(): string {
    return `sha256:${this.#hash.copy().digest('hex')}`
  }
}

export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
  return `sha256:${hash.digest('hex')}`
}
