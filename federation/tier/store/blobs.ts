// Content-addressed files: a blob's name is its digest, so it never changes and writing it twice is writing it once.
// Blobs that no record names any more are swept. A sweep must not catch a blob whose record is still being written:
// whoever writes blobs holds the store from before the first byte until the record that names them is on disk.
import { createHash, type Hash } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectory, sizeOf, syncDirectory, temporaryPath } from './files.ts'

export interface BlobReference {
  digest: string
  size: number
}

export class BlobStore {
  readonly #directory: string
  #holders = 0
  #sweepWaiting: (() => void) | undefined

  constructor(root: string) {
    this.#directory = join(root, 'blobs', 'sha256')
  }

  async open(): Promise<void> {
    await makeDirectory(this.#directory)
  }

  path(digest: string): string {
    return join(this.#directory, digest.slice('sha256:'.length))
  }

  async size(digest: string): Promise<number | undefined> {
    return sizeOf(this.path(digest))
  }

  async read(digest: string): Promise<Buffer> {
    return readFile(this.path(digest))
  }

  async put(bytes: Uint8Array): Promise<BlobReference> {
    return this.write(async (write) => write(bytes))
  }

  /** Streams a blob to the disk; it exists once the promise is fulfilled. */
  async write(
    produce: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<BlobReference> {
    const temporary = temporaryPath(join(this.#directory, 'incoming'))
    const handle = await open(temporary, 'wx')
    try {
      const writer = new HashingWriter(handle)
      await produce((bytes) => writer.write(bytes))
      await handle.sync()
      await handle.close()
      const reference = writer.finish()
      await rename(temporary, this.path(reference.digest))
      await syncDirectory(this.#directory)
      return reference
    } catch (error) {
      await handle.close().catch(() => undefined)
      await rm(temporary, { force: true })
      throw error
    }
  }

  /** Runs work that writes blobs and then the record naming them; no sweep happens meanwhile. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.#holders += 1
    try {
      return await work()
    } finally {
      this.#holders -= 1
      if (this.#holders === 0) this.#sweepWaiting?.()
    }
  }

  /** Removes all blobs that `referenced` does not name, now or as soon as nobody holds the store. */
  sweep(referenced: () => ReadonlySet<string>): void {
    this.#sweepWaiting = () => {
      this.#sweepWaiting = undefined
      const keep = referenced()
      // In one go, without awaiting: nobody can begin to hold the store half-way.
      for (const name of readdirSync(this.#directory)) {
        if (/^[0-9a-f]{64}$/.test(name) && !keep.has(`sha256:${name}`)) rmSync(join(this.#directory, name))
      }
    }
    if (this.#holders === 0) this.#sweepWaiting()
  }
}

class HashingWriter {
  readonly #handle: FileHandle
  readonly #hash: Hash = createHash('sha256')
  #size = 0

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
    await this.#handle.writeFile(bytes)
    this.#size += bytes.byteLength
  }

  finish(): BlobReference {
    return { digest: `sha256:${this.#hash.digest('hex')}`, size: this.#size }
  }
}
