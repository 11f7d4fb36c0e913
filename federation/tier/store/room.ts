// Room on the disk. An update is taken only if it leaves enough for what must go on when no further update does: records of what
// happens, and a merge, which frees more than it takes. So a disk that updates filled up empties again by itself.
import { statfs } from 'node:fs/promises'
import { TierError } from '../serving/errors.ts'
import type { SpareFiles } from './spares.ts'

/** Kept free of updates for records: plans, acceptances and commits, a few hundred bytes for each node and round. */
export const RECORDS_RESERVE_BYTES = 8 * 1024 * 1024

/** Bytes that can still be written to the disk of this folder. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

export function sayBytes(bytes: number): string {
  return `${(Math.max(0, bytes) / 1024 / 1024).toFixed(1)} MiB`
}

export interface WantedRoom {
  /** A folder on the disk. */
  readonly directory: string
  /** Bytes that are about to be written. */
  readonly bytes: number
  /** Bytes that must be free when they are. */
  readonly left: number
}

export class Room {
  readonly #spares: SpareFiles
  /** Bytes of updates that arrive now, whether or not they are on the disk yet. */
  #promised = 0

  constructor(spares: SpareFiles) {
    this.#spares = spares
  }

  /** Runs work that writes so many bytes. Rejects with DiskFull, before any is written, when there is no room for them. */
  async with<T>(wanted: WantedRoom, work: () => Promise<T>): Promise<T> {
    const { directory, bytes, left } = wanted
    this.#promised += bytes
    try {
      if (!(await this.#isThere(wanted))) {
        // What they hold is of no use but to be written over.
        await this.#spares.drop()
        if (!(await this.#isThere(wanted))) {
          const free = sayBytes(await freeBytes(directory))
          throw new TierError(
            'diskFull',
            'DiskFull',
            `the disk has ${free} free; an update of ${sayBytes(bytes)} must leave ${sayBytes(left)} for records and merging`,
            { 'retry-after': '5' },
          )
        }
      }
      return await work()
    } finally {
      this.#promised -= bytes
    }
  }

  async #isThere({ directory, left }: WantedRoom): Promise<boolean> {
    return (await freeBytes(directory)) - this.#promised >= left
  }
}
