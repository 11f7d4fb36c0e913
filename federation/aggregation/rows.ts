// Brings the same slice of several updates together for the kernels: shown where it lies in memory, read from files by the
// kernels themselves, or read one update after the other. One buffer serves all slices of a merge, so that memory depends
// on neither the number of slices nor that of updates.
import type { Kernels } from './kernels.ts'
import type { Places, Sources } from './reader.ts'
import type { Slice } from './slices.ts'

/** Some of the sources; equal lists should be the same object, because where their values lie is looked up once for each. */
export type Members = readonly number[]

export class Rows {
  readonly #sources: Sources
  readonly #kernels: Kernels
  readonly #signal: AbortSignal | undefined
  readonly #places = new Map<Members, Places>()
  #buffer = new Float32Array(0)
  /** The buffer cut into rows, as it was for the slice before: all slices but the last are as long. */
  #cut: { readonly length: number; readonly rows: readonly Float32Array[] } = { length: 0, rows: [] }

  constructor(sources: Sources, kernels: Kernels, signal: AbortSignal | undefined) {
    this.#sources = sources
    this.#kernels = kernels
    this.#signal = signal
  }

  /** The slice of each member, valid until the next call and not to be written to. */
  async read(members: Members, slice: Slice): Promise<readonly Float32Array[]> {
    this.#signal?.throwIfAborted()
    const { start, length } = slice
    const places = await this.places(members)
    if (places.in === 'Memory') {
      return places.values.map((values) => values.subarray(start, start + length))
    }
    const rows = this.#rows(members.length, length)
    if (places.in === 'Files' && this.#kernels.readFiles) {
      const offset = places.offset + start * Float32Array.BYTES_PER_ELEMENT
      await this.#kernels.readFiles(this.buffer(members.length * length), places.descriptors, offset)
      return rows
    }
    for (const [turn, member] of members.entries()) {
      this.#signal?.throwIfAborted()
      await this.#sources.read(member, start, rows[turn] as Float32Array)
    }
    return rows
  }

  /** Where the values of all members lie. */
  async places(members: Members): Promise<Places> {
    const known = this.#places.get(members)
    if (known) return known
    const found = await this.#sources.places(members)
    this.#places.set(members, found)
    return found
  }

  /** Size of the buffer. */
  get bytes(): number {
    return this.#buffer.byteLength
  }

  /** The buffer that `read` also uses. */
  buffer(length: number): Float32Array {
    if (this.#buffer.length < length) {
      this.#buffer = new Float32Array(length)
      this.#cut = { length: 0, rows: [] }
    }
    return this.#buffer.subarray(0, length)
  }

  #rows(count: number, length: number): readonly Float32Array[] {
    const buffer = this.buffer(count * length)
    if (this.#cut.rows.length !== count || this.#cut.length !== length) {
      const rows = Array.from({ length: count }, (_, k) => buffer.subarray(k * length, (k + 1) * length))
      this.#cut = { length, rows }
    }
    return this.#cut.rows
  }
}
