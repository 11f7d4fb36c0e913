// One command at a time works on a cluster. The lock names the process that holds it, and a lock whose process has
// ended is taken over.
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { isAlive, parseRecord } from './process-record.ts'

export async function withLock<T>(file: string, what: string, work: () => Promise<T>): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true })
  await take(file, what)
  try {
    return await work()
  } finally {
    await rm(file, { force: true })
  }
}

async function take(file: string, what: string): Promise<void> {
  const mine = `${file}.${String(process.pid)}`
  await writeFile(
    mine,
    (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')) + (await readFile('/proc/self/stat', 'utf8')),
  )
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      // A link is made whole or not at all, and never over another.
      if (await tryLink(mine, file)) return
      const holder = parseRecord(await readFile(file, 'utf8').catch(() => ''))
      if (holder !== undefined && (await isAlive(holder))) {
        throw new Error(
          `${what}: process ${String(holder.pid)} is working on it (lock ${file}); try again when it is done`,
        )
      }
      await rm(file, { force: true })
    }
    throw new Error(`${what}: the lock ${file} is being fought over; try again`)
  } finally {
    await rm(mine, { force: true })
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}
