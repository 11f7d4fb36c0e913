// Makes a campaign's folder on the node before its training pod starts: the kubelet makes folders for root only. A folder that is
// not what it should be is refused. Folders of campaigns that nobody used for long, and nobody uses now, are removed.
import type { Stats } from 'node:fs'
import { chmod, chown, lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Logger } from 'pino'

import { FolderLock, LOCK_FILE } from './lock.ts'

export interface PrepareOptions {
  /** Holds a folder for each campaign. */
  readonly campaignsFolder: string
  /** UID of the FederatedRound: the name of its folder. */
  readonly campaign: string
  /** The user, and group, that training runs as. */
  readonly owner: number
  /** Folders that were not used for so long are removed. */
  readonly keepDays: number
  /** Unix milliseconds. */
  readonly now: number
  readonly log: Logger
}

export class FolderRefused extends Error {
  override readonly name = 'FolderRefused'
}

const MODE = 0o700
const DAY_MS = 86_400_000
const CAMPAIGN = /^[A-Za-z0-9-]{1,64}$/

/** Resolves with the folder's path. */
export async function prepareFolder(options: PrepareOptions): Promise<string> {
  const folder = join(options.campaignsFolder, options.campaign)
  await mkdir(folder, { recursive: true, mode: MODE })
  const facts = await lstat(folder)
  const problem = problemWith(facts, facts.isDirectory() ? await readdir(folder) : [], options.owner)
  if (problem !== undefined) throw new FolderRefused(`${folder} ${problem}`)
  if (facts.uid !== options.owner) {
    await chmod(folder, MODE)
    await chown(folder, options.owner, options.owner)
  }
  await sweep(options)
  return folder
}

/** What keeps a folder from being the campaign's; undefined when nothing does. */
export function problemWith(
  facts: Pick<Stats, 'uid' | 'isDirectory'>,
  entries: readonly string[],
  owner: number,
): string | undefined {
  if (!facts.isDirectory()) return 'is not a folder'
  if (facts.uid === owner) return undefined
  if (facts.uid !== 0) return `belongs to user ${facts.uid}; expected user ${owner}, or a new folder of root`
  if (entries.length === 0) return undefined
  return `belongs to root and holds ${entries.length} files; expected user ${owner}, or an empty folder`
}

/** What goes wrong here is told and stops nothing: the pod can train. */
async function sweep(options: PrepareOptions): Promise<void> {
  const { campaignsFolder, campaign, log } = options
  for (const name of await readdir(campaignsFolder)) {
    if (name === campaign || !CAMPAIGN.test(name)) continue
    const folder = join(campaignsFolder, name)
    try {
      if (await removeIfUnused(folder, options))
        log.info({ folder }, 'removed a folder that nobody used for long')
    } catch (error) {
      log.warn({ folder, error: String(error) }, 'a folder that nobody used for long could not be removed')
    }
  }
}

async function removeIfUnused(folder: string, { keepDays, now }: PrepareOptions): Promise<boolean> {
  const facts = await lstat(folder)
  if (!facts.isDirectory()) return false
  const lockFacts = await lstat(join(folder, LOCK_FILE)).catch(() => undefined)
  const lastUsed = Math.max(facts.mtimeMs, lockFacts?.mtimeMs ?? 0)
  if (now - lastUsed < keepDays * DAY_MS) return false
  const lock = FolderLock.tryTake(folder, () => now)
  if (!lock) return false
  try {
    await rm(folder, { recursive: true, force: true })
    return true
  } finally {
    lock.release()
  }
}
