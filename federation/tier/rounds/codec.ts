// The codec of a campaign at the hub: how large an update may be, whether one that has arrived can be read, and how merging
// reads it. The layout comes from the hub's own compilation and never from a node.
import { float32File } from '#federation/aggregation/float32-file.ts'
import type { OpenReader } from '#federation/aggregation/reader.ts'
import { openUpdate, updateSizeBound } from '#federation/tensors/codec.ts'
import type { UploadCodec } from '#federation/tensors/configuration.ts'
import { EncodingError } from '#federation/tensors/errors.ts'
import { updateLayout, type Layout } from '#federation/tensors/layout.ts'
import { openFile } from '#federation/tensors/source.ts'
import type { StartRecord } from '../store/records.ts'

const SLICE = 64 * 1024

export class UpdateCodec {
  readonly type: UploadCodec['type']
  readonly #codec: UploadCodec
  readonly #layout: Layout

  /** @param sections how many vectors of the trained values the strategy adds */
  constructor(codec: UploadCodec, { tensors, trainableCount }: StartRecord, sections: number) {
    this.type = codec.type
    this.#codec = codec
    this.#layout = updateLayout(tensors, new Array<number>(sections).fill(trainableCount))
  }

  /** Why an update of so many bytes cannot be one; undefined when it can. */
  sizeProblem(bytes: number): string | undefined {
    const bound = updateSizeBound(this.#layout, this.#codec)
    if (bytes === bound || (bytes < bound && this.type !== 'Float32')) return undefined
    const most = this.type === 'Float32' ? '' : 'at most '
    return `the update has ${bytes} bytes; ${this.#layout.length} values take ${most}${bound} as ${this.type}`
  }

  /** Bytes of a sum of updates: whatever carried them, a sum is float32. */
  get sumBytes(): number {
    return this.#layout.length * Float32Array.BYTES_PER_ELEMENT
  }

  /** Why a spooled update cannot be merged: reads it once as merging will. Float32 is looked at while it arrives. */
  async problemWith(path: string): Promise<string | undefined> {
    if (this.type === 'Float32') return undefined
    try {
      const reader = await this.open(path)()
      const values = new Float32Array(Math.min(SLICE, this.#layout.length))
      try {
        for (let start = 0; start < this.#layout.length; start += SLICE) {
          await reader.read(start, values.subarray(0, Math.min(SLICE, this.#layout.length - start)))
        }
      } finally {
        await reader.close()
      }
      return undefined
    } catch (error) {
      if (error instanceof EncodingError) return error.message
      throw error
    }
  }

  /** For the merging engine. */
  open(path: string): OpenReader {
    if (this.type === 'Float32') return float32File(path)
    return async () => openUpdate(await openFile(path), this.#layout, this.#codec)
  }
}
