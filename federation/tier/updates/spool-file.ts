// The file that an update arrives in. Its length says how far the update has arrived, also after a crash; a file that is written
// over is longer than that, so it goes by a temporary name until it is whole or has been cut to what has arrived.
import { constants } from 'node:fs'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sizeOf, syncDirectory, temporaryPath } from '../store/files.ts'
import type { SpareFiles } from '../store/spares.ts'

export interface SpoolPlace {
  readonly path: string
  /** Bytes of the update, where this request brings all of them. */
  readonly whole: number | undefined
  readonly spares: SpareFiles
}

export class SpoolFile {
  readonly handle: FileHandle
  /** Bytes of the update that it held when it was opened. */
  readonly size: number
  readonly #path: string
  #temporary: string | undefined

  static async open({ path, whole, spares }: SpoolPlace): Promise<SpoolFile> {
    const isNew = (await sizeOf(path)) === undefined
    const temporary = temporaryPath(path)
    if (isNew && whole !== undefined && (await spares.take(whole, temporary))) {
      return new SpoolFile(path, await open(temporary, constants.O_RDWR), { size: 0, temporary })
    }
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT)
    return new SpoolFile(path, handle, { size: (await handle.stat()).size })
  }

  private constructor(path: string, handle: FileHandle, is: { size: number; temporary?: string }) {
    this.#path = path
    this.handle = handle
    this.size = is.size
    this.#temporary = is.temporary
  }

  /** Makes the name of a new file durable, which can be done while its bytes arrive. */
  async name(): Promise<void> {
    if (this.size === 0 && this.#temporary === undefined) await syncDirectory(dirname(this.#path))
  }

  /** Everything is durable afterwards. @param size bytes of the update that the file holds now */
  async finish(size: number): Promise<void> {
    await this.handle.datasync()
    await this.#rename(size)
  }

  /** The bytes so far are found by the next request. @param size bytes of the update that the file holds now */
  async leave(size: number): Promise<void> {
    if (this.#temporary === undefined) return
    await this.handle.truncate(size)
    await this.handle.sync()
    await this.#rename(size)
  }

  async close(): Promise<void> {
    await this.handle.close()
    if (this.#temporary !== undefined) await rm(this.#temporary, { force: true })
  }

  async #rename(size: number): Promise<void> {
    if (this.#temporary === undefined) return
    if ((await this.handle.stat()).size !== size) throw new Error(`${this.#path} is not ${size} bytes long`)
    await rename(this.#temporary, this.#path)
    this.#temporary = undefined
    await syncDirectory(dirname(this.#path))
  }
}
