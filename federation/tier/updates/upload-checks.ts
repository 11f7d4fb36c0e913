// Checks of updates that have arrived in part. Each request brings a part, so what was seen of the parts before is kept
// between requests; when it was not, after a restart or among very many uploads, the file's beginning is read again.
import type { FileHandle } from 'node:fs/promises'
import { Float32Scan, UpdateCheck, type ValueScan } from '#federation/aggregation/check-update.ts'
import type { Kernels } from '#federation/aggregation/kernels.ts'
import type { UploadCodec } from '#federation/tensors/configuration.ts'
import { catchUp } from '#federation/wire/body.ts'

const MOST_KEPT = 4096

interface Arrived {
  /** Bytes of the file. */
  readonly size: number
  readonly codec: UploadCodec['type']
}

/** Values that cannot be seen in passing: they are looked at when the update is whole (rounds/codec.ts). */
const UNSEEN: ValueScan = { push: () => undefined, problem: undefined, squaredNorm: 0 }

export class UploadChecks {
  readonly #kernels: Kernels
  readonly #kept = new Map<string, UpdateCheck>()

  constructor(kernels: Kernels) {
    this.#kernels = kernels
  }

  /** The check that has seen the file's first `size` bytes. It belongs to the caller until it is kept again. */
  async take(path: string, file: FileHandle, { size, codec }: Arrived): Promise<UpdateCheck> {
    const kept = this.#kept.get(path)
    this.#kept.delete(path)
    if (kept?.size === size) return kept
    const check = new UpdateCheck(codec === 'Float32' ? new Float32Scan(this.#kernels) : UNSEEN)
    await catchUp(check, file, size)
    return check
  }

  /** For the next request; the check must have seen exactly what the file holds. */
  keep(path: string, check: UpdateCheck): void {
    this.#kept.set(path, check)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest)
  }
}
