// Writing and reading the small fields of an encoding, little-endian. The reader never goes beyond what it was given: whatever
// is missing or left over is an EncodingError that says where.
import { EncodingError } from './errors.ts'

export class ByteWriter {
  readonly #pieces: Uint8Array[] = []

  uint8(value: number): this {
    return this.bytes(Uint8Array.of(value))
  }

  uint32(value: number): this {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value, true)
    return this.bytes(bytes)
  }

  float32(value: number): this {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setFloat32(0, value, true)
    return this.bytes(bytes)
  }

  float32s(values: Float32Array): this {
    return this.bytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  }

  /** LEB128 of a value below 2^32. */
  varint(value: number): this {
    const bytes: number[] = []
    let left = value
    for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80)
    return this.bytes(Uint8Array.from([...bytes, left]))
  }

  bytes(bytes: Uint8Array): this {
    this.#pieces.push(bytes)
    return this
  }

  finish(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#pieces))
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #what: string
  #at = 0

  /** @param what the part of the encoding, for messages */
  constructor(bytes: Uint8Array, what: string) {
    // A Buffer's slice would be a view and not a copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#what = what
  }

  uint8(): number {
    return this.bytes(1)[0] as number
  }

  uint32(): number {
    this.bytes(4)
    return this.#view.getUint32(this.#at - 4, true)
  }

  /** A finite number that is 0 or more; what scales and steps must be. */
  scale(): number {
    this.bytes(4)
    const value = this.#view.getFloat32(this.#at - 4, true)
    if (Number.isFinite(value) && value >= 0) return value
    throw new EncodingError(
      `${this.#what}: the scale at byte ${this.#at - 4} is ${value}; it must be finite and not negative`,
    )
  }

  float32s(length: number): Float32Array {
    return new Float32Array(this.bytes(4 * length).slice().buffer)
  }

  varint(): number {
    let value = 0
    for (let factor = 1; factor <= 2 ** 28; factor *= 0x80) {
      const byte = this.uint8()
      value += (byte & 0x7f) * factor
      if (byte < 0x80 && value < 2 ** 32) return value
    }
    throw new EncodingError(`${this.#what}: the number before byte ${this.#at} has more than 32 bits`)
  }

  bytes(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) {
      throw new EncodingError(
        `${this.#what} ends at byte ${this.#bytes.length}; ${this.#at + length} are needed`,
      )
    }
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  rest(): Uint8Array {
    return this.bytes(this.#bytes.length - this.#at)
  }

  end(): void {
    if (this.#at === this.#bytes.length) return
    throw new EncodingError(`${this.#what} has ${this.#bytes.length - this.#at} bytes too many`)
  }
}
