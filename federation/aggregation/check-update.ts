// What an update must be before it counts: exactly the announced bytes, and finite numbers only.
// The file is read as a stream, so a check costs the same memory for every size.
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'

export interface ExpectedUpdate {
  /** Bytes of the parameter vector. */
  readonly size: number
  /** `sha256:<64 hex>` as announced by the sender. */
  readonly digest: string
}

export type UpdateVerdict = { readonly ok: true } | { readonly ok: false; readonly detail: string }

const READ_BYTES = 1024 * 1024

/** Reads the spooled update from the disk and says whether it may count, else why not. */
export async function checkUpdateFile(path: string, expected: ExpectedUpdate): Promise<UpdateVerdict> {
  const file = await open(path, 'r')
  try {
    const hash = createHash('sha256')
    const finiteness = new FiniteScan()
    const buffer = Buffer.alloc(READ_BYTES)
    let size = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, size)
      if (bytesRead === 0) break
      size += bytesRead
      const bytes = buffer.subarray(0, bytesRead)
      hash.update(bytes)
      finiteness.push(bytes)
    }
    return verdict({ size, digest: `sha256:${hash.digest('hex')}` }, expected, finiteness.firstNotFinite)
  } finally {
    await file.close()
  }
}

function verdict(
  found: ExpectedUpdate,
  expected: ExpectedUpdate,
  notFinite: number | undefined,
): UpdateVerdict {
  if (found.size !== expected.size) {
    return { ok: false, detail: `the update has ${found.size} bytes; the parameters take ${expected.size}` }
  }
  if (found.digest !== expected.digest) {
    return { ok: false, detail: `the bytes have digest ${found.digest}; announced was ${expected.digest}` }
  }
  if (notFinite !== undefined) {
    return { ok: false, detail: `value ${notFinite} is not a finite number; every parameter must be finite` }
  }
  return { ok: true }
}

/** Finds the first float32 value that is NaN or infinite in a stream of pieces of any length. */
export class FiniteScan {
  /** Index of the first value that is not finite. */
  firstNotFinite: number | undefined
  #position = 0

  push(bytes: Uint8Array): void {
    // An IEEE 754 value is NaN or infinite when all exponent bits are set: the 7 low bits of the last byte and the
    // high bit of the third, in little-endian order. Looking at these two bytes needs no alignment between pieces.
    if (this.firstNotFinite !== undefined) return
    for (let i = (3 - (this.#position % 4) + 4) % 4; i < bytes.length; i += 4) {
      if (((bytes[i] as number) & 0x7f) !== 0x7f) continue
      if (((i === 0 ? this.#thirdByte : (bytes[i - 1] as number)) & 0x80) === 0) continue
      this.firstNotFinite = Math.floor((this.#position + i) / 4)
      return
    }
    this.#position += bytes.length
    if (bytes.length > 0) this.#thirdByte = bytes[bytes.length - 1] as number
  }

  #thirdByte = 0
}
