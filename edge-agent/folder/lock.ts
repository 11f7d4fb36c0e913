// One user of a folder at a time, across processes, containers and pods of a node. The lock is the kernel's own (a POSIX lock, which
// SQLite takes), so that it ends with the process that holds it, however that ends, and nobody has to judge whether a holder lives.
import { utimesSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export const LOCK_FILE = 'lock'

const SQLITE_BUSY = 5
/** How often the file is touched: its time says when the folder was used last. */
const TOUCH_MS = 3_600_000

export class FolderLock {
  readonly #database: DatabaseSync
  readonly #touching: NodeJS.Timeout

  /** Undefined when another one holds it. @param now Unix milliseconds */
  static tryTake(folder: string, now: () => number): FolderLock | undefined {
    const path = join(folder, LOCK_FILE)
    const database = new DatabaseSync(path, { timeout: 0 })
    try {
      // Nothing is ever written: the journal in memory keeps it from making a second file.
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
      return new FolderLock(path, database, now)
    } catch (error) {
      database.close()
      if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined
      throw error
    }
  }

  private constructor(path: string, database: DatabaseSync, now: () => number) {
    this.#database = database
    touch(path, now())
    this.#touching = setInterval(() => touch(path, now()), TOUCH_MS).unref()
  }

  release(): void {
    clearInterval(this.#touching)
    this.#database.close()
  }
}

function touch(path: string, unixMs: number): void {
  try {
    utimesSync(path, unixMs / 1000, unixMs / 1000)
  } catch {
    // Whoever cannot write here will say so when there is something to write.
  }
}
