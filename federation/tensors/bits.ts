// A stream of bit fields of up to 32 bits, lowest bits first.
import { EncodingError } from './errors.ts'

export class BitWriter {
  readonly #bytes: Uint8Array
  #at = 0
  #held = 0
  #count = 0

  /** @param capacity bytes that will be written at most */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity + 8)
  }

  /** Appends the `length` lowest bits of the value. */
  put(value: number, length: number): void {
    if (length > 16) {
      this.#putShort(value & 0xffff, 16)
      this.#putShort((value >>> 16) & ((1 << (length - 16)) - 1), length - 16)
    } else this.#putShort(value & ((1 << length) - 1), length)
  }

  finish(): Uint8Array {
    if (this.#count > 0) this.#bytes[this.#at++] = this.#held
    return this.#bytes.slice(0, this.#at)
  }

  #putShort(value: number, length: number): void {
    this.#held |= value << this.#count
    this.#count += length
    while (this.#count >= 8) {
      this.#bytes[this.#at++] = this.#held
      this.#held >>>= 8
      this.#count -= 8
    }
  }
}

export class BitReader {
  readonly #bytes: Uint8Array
  #at = 0
  #held = 0
  #count = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The next `length` bits as an unsigned number; missing ones count as 0 and are found by `end`. */
  take(length: number): number {
    if (length <= 16) return this.#takeShort(length)
    const low = this.#takeShort(16)
    return low + this.#takeShort(length - 16) * 0x10000
  }

  /** Checks that every byte was used, that none was missing, and that the last bits are 0. */
  end(): void {
    if (this.#at === this.#bytes.length && this.#held === 0) return
    throw new EncodingError('the stored bits of a block are not as many as its tokens say')
  }

  #takeShort(length: number): number {
    while (this.#count < length) {
      this.#held |= (this.#bytes[this.#at] ?? 0) << this.#count
      this.#at++
      this.#count += 8
    }
    const value = this.#held & ((1 << length) - 1)
    this.#held >>>= length
    this.#count -= length
    return value
  }
}
