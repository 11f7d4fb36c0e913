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

export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
  return `sha256:${hash.digest('hex')}`
}
