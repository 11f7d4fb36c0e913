// A training pod has its campaign's folder on the node for itself. Another one that still ends (a node that came back, a pod that
// was deleted by force) is waited for a while; then the pod ends with a sentence about it, and starts again.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Logger } from 'pino'

import { sleep } from '#federation/wire/backoff.ts'

import { FolderLock, LOCK_FILE } from './lock.ts'

export interface OwnOptions {
  readonly log: Logger
  readonly signal: AbortSignal
  /** Unix milliseconds. */
  readonly now: () => number
  readonly waitMs?: number
}

const WAIT_MS = 60_000
const LOOK_MS = 500

/** Works in the folder, which exists. What is in there stays when the work fails, and goes when it is done. */
export async function inOwnFolder<Outcome>(
  folder: string,
  options: OwnOptions,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  const lock = await take(folder, options)
  try {
    const outcome = await work()
    await empty(folder)
    return outcome
  } finally {
    lock.release()
  }
}

async function take(folder: string, { log, signal, now, waitMs = WAIT_MS }: OwnOptions): Promise<FolderLock> {
  for (let waited = 0; ; waited += LOOK_MS) {
    const lock = FolderLock.tryTake(folder, now)
    if (lock) return lock
    if (waited === 0)
      log.warn({ folder, waitMs }, 'the folder is in use by another pod of this campaign: waiting')
    if (waited >= waitMs) {
      throw new Error(
        `${folder} is in use by another pod of this campaign on this node, for more than ${waitMs / 1000} s`,
      )
    }
    await sleep(LOOK_MS, signal)
  }
}

async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name !== LOCK_FILE) await rm(join(folder, name), { recursive: true, force: true })
  }
}
