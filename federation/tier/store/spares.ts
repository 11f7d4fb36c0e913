// Files that are no longer needed, kept to be written over. Their blocks are allocated and their pages in memory, so an update
// of the same size arrives in one of them with less work than in a new file. They hold no more disk than the updates did whose
// files they were: an update that finds none of its size removes one. None of them outlives the process.
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MAXIMUM_CHUNK_BYTES } from '#federation/wire/names.ts'
import { makeDirectory, sizeOf, temporaryPath } from './files.ts'

/** A smaller file is as quickly made anew. */
const LEAST_BYTES = 64 * 1024
const MOST_BYTES = 1024 * 1024 * 1024

export class SpareFiles {
  readonly #directory: string
  /** Bytes by path, the oldest first. */
  readonly #spares = new Map<string, number>()
  #bytes = 0

  constructor(root: string) {
    this.#directory = join(root, 'spares')
  }

  async open(): Promise<void> {
    await makeDirectory(this.#directory)
  }

  /** Takes a file away from its place: to be kept, or for good. */
  async discard(path: string): Promise<void> {
    const size = (await sizeOf(path)) ?? 0
    // A longer update comes in several requests, none of which takes a spare: it would be kept for nobody.
    const isOfUse = size >= LEAST_BYTES && size <= MAXIMUM_CHUNK_BYTES
    if (!isOfUse || this.#bytes + size > MOST_BYTES) {
      await rm(path, { force: true })
      return
    }
    // Reserved before anything is awaited: files are discarded and taken at the same time.
    this.#bytes += size
    const spare = temporaryPath(join(this.#directory, 'file'))
    try {
      await rename(path, spare)
      this.#spares.set(spare, size)
    } catch (error) {
      this.#bytes -= size
      throw error
    }
  }

  /** Gives all of them back to the disk. */
  async drop(): Promise<void> {
    const all = [...this.#spares.keys()]
    this.#spares.clear()
    this.#bytes = 0
    for (const spare of all) await rm(spare, { force: true })
  }

  /** Moves a file of just this size to a path; false when there is none. What it holds is without meaning. */
  async take(size: number, path: string): Promise<boolean> {
    if (size < LEAST_BYTES) return false
    const all = [...this.#spares]
    const fitting = all.find(([, bytes]) => bytes === size)
    const [spare, bytes] = fitting ?? all[0] ?? []
    if (spare === undefined || bytes === undefined) return false
    this.#spares.delete(spare)
    this.#bytes -= bytes
    if (fitting) await rename(spare, path)
    else await rm(spare, { force: true })
    return fitting !== undefined
  }
}
