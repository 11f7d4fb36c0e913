// A disk that is really full: a file system of its own, of 16 MiB.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { freeBytes } from '../store/room.ts'

const run = promisify(execFile)

export class SmallDisk {
  /** Where it is mounted. */
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async mount(): Promise<SmallDisk> {
    if (process.getuid?.() !== 0) throw new Error('this test mounts a small file system: run it as root')
    const path = await mkdtemp(join(tmpdir(), 'tributary-full-'))
    await run('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', path])
    return new SmallDisk(path)
  }

  /** Somebody else takes all of it but so many bytes. */
  async leave(bytes: number): Promise<void> {
    const taken = Buffer.alloc((await this.freeBytes()) - bytes)
    await writeFile(this.#ballast, taken).catch((error: unknown) => {
      if (bytes > 0 || (error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    })
  }

  /** Somebody else gives back what they took. */
  async makeRoom(): Promise<void> {
    await rm(this.#ballast)
  }

  async freeBytes(): Promise<number> {
    return await freeBytes(this.path)
  }

  async unmount(): Promise<void> {
    await run('umount', [this.path])
    await rm(this.path, { recursive: true, force: true })
  }

  get #ballast(): string {
    return join(this.path, 'of-others')
  }
}
