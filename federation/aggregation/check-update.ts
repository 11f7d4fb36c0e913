// What an update must be before it counts: exactly the announced bytes, and finite numbers only. The bytes are looked at
// once, as they arrive, in pieces of any length; a check costs the same memory for every size of update.
import { createHash } from 'node:crypto'
import { GRAM_LANES, sumOfLanes, type Kernels } from './kernels.ts'

export interface ExpectedUpdate {
  /** Bytes of the update. */
  readonly size: number
  /** `sha256:<64 hex>` as announced by the sender. */
  readonly digest: string
}

export type UpdateVerdict =
  /** `squaredNorm`: the sum of the squares of all values. */
  { readonly ok: true; readonly squaredNorm: number } | { readonly ok: false; readonly detail: string }

/** Looks at an update's values while its bytes pass by; one for each way of encoding them. */
export interface ValueScan {
  /** Takes the next bytes, cut anywhere. */
  push(bytes: Uint8Array): void
  /** Why the values seen so far may not count; undefined when they may. */
  readonly problem: string | undefined
  /** The sum of the squares of the values seen so far. */
  readonly squaredNorm: number
}

const BYTES_PER_VALUE = Float32Array.BYTES_PER_ELEMENT

export class UpdateCheck {
  readonly #hash = createHash('sha256')
  readonly #scan: ValueScan
  #size = 0

  constructor(scan: ValueScan) {
    this.#scan = scan
  }

  /** Bytes taken so far. */
  get size(): number {
    return this.#size
  }

  push(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#scan.push(bytes)
    this.#size += bytes.byteLength
  }

  /** Says whether what was taken may count, else why not. Ends the check. */
  verdict(expected: ExpectedUpdate): UpdateVerdict {
    if (this.#size !== expected.size) {
      return refusal(`the update has ${this.#size} bytes; the parameters take ${expected.size}`)
    }
    const digest = `sha256:${this.#hash.digest('hex')}`
    if (digest !== expected.digest) {
      return refusal(`the bytes have digest ${digest}; announced was ${expected.digest}`)
    }
    const { problem, squaredNorm } = this.#scan
    return problem === undefined ? { ok: true, squaredNorm } : refusal(problem)
  }
}

function refusal(detail: string): UpdateVerdict {
  return { ok: false, detail }
}

/** Values of codec Float32: little-endian, nothing between them. The squares are added in the kernels' eight lanes. */
export class Float32Scan implements ValueScan {
  readonly #kernels: Pick<Kernels, 'addSquares'>
  readonly #lanes = new Float64Array(GRAM_LANES)
  /** The first bytes of a value that a piece ended in. */
  readonly #begun = new Uint8Array(BYTES_PER_VALUE)
  #begunBytes = 0
  #values = 0
  #firstNotFinite: number | undefined

  constructor(kernels: Pick<Kernels, 'addSquares'>) {
    this.#kernels = kernels
  }

  get squaredNorm(): number {
    return sumOfLanes(this.#lanes)
  }

  get problem(): string | undefined {
    if (this.#firstNotFinite === undefined) return undefined
    return `value ${this.#firstNotFinite} is not a finite number; every value must be finite`
  }

  push(bytes: Uint8Array): void {
    const missing = this.#begunBytes === 0 ? 0 : BYTES_PER_VALUE - this.#begunBytes
    const head = bytes.subarray(0, missing)
    this.#begun.set(head, this.#begunBytes)
    this.#begunBytes += head.length
    if (head.length < missing) return
    if (missing > 0) this.#take(this.#begun)
    const whole = bytes.length - ((bytes.length - missing) % BYTES_PER_VALUE)
    this.#take(bytes.subarray(missing, whole))
    this.#begun.set(bytes.subarray(whole))
    this.#begunBytes = bytes.length - whole
  }

  /** @param bytes whole values */
  #take(bytes: Uint8Array): void {
    this.#kernels.addSquares(this.#lanes, bytes, this.#values)
    // The square of a finite float32 value, and any sum of such squares, is finite in float64: one look at the lanes is enough.
    if (this.#firstNotFinite === undefined && !Number.isFinite(this.squaredNorm)) {
      this.#firstNotFinite = this.#values + firstNotFinite(bytes)
    }
    this.#values += bytes.length / BYTES_PER_VALUE
  }
}

function firstNotFinite(bytes: Uint8Array): number {
  const values = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  while (at < bytes.length && Number.isFinite(values.getFloat32(at, true))) at += BYTES_PER_VALUE
  return at / BYTES_PER_VALUE
}
