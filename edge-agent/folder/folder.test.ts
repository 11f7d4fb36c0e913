// A campaign's folder on a node: who may have it, for how long, and what becomes of it.
import { chown, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { FolderLock } from './lock.ts'
import { inOwnFolder } from './own.ts'
import { type PrepareOptions, prepareFolder, problemWith } from './prepare.ts'

const log = pino({ level: 'silent' })
const USER = process.getuid?.() ?? 0
const CAMPAIGN = 'f0000000-0000-4000-8000-00000000000a'
const DAY_MS = 86_400_000

let campaignsFolder: string
beforeEach(async () => {
  campaignsFolder = await mkdtemp(join(tmpdir(), 'campaigns-'))
})
afterEach(async () => {
  await rm(campaignsFolder, { recursive: true })
})

const prepare = async (changes: Partial<PrepareOptions> = {}): Promise<string> =>
  await prepareFolder({
    ...{ campaignsFolder, campaign: CAMPAIGN, owner: USER, keepDays: 30, now: Date.now(), log },
    ...changes,
  })

async function folderOf(name: string): Promise<string> {
  const folder = join(campaignsFolder, name)
  await mkdir(folder)
  return folder
}

describe("a campaign's folder", () => {
  const folder = { isDirectory: () => true }
  it.each([
    { name: 'made by the kubelet', facts: { ...folder, uid: 0 }, entries: [], want: undefined },
    { name: 'of the training user', facts: { ...folder, uid: 65_532 }, entries: ['state'], want: undefined },
    {
      name: 'of root with something in it',
      facts: { ...folder, uid: 0 },
      entries: ['etc'],
      want: 'belongs to root and holds 1 files; expected user 65532, or an empty folder',
    },
    {
      name: 'of somebody else',
      facts: { ...folder, uid: 1000 },
      entries: [],
      want: 'belongs to user 1000; expected user 65532, or a new folder of root',
    },
    {
      name: 'that is none',
      facts: { isDirectory: () => false, uid: 65_532 },
      entries: [],
      want: 'is not a folder',
    },
  ])('$name: $want', ({ facts, entries, want }) => {
    expect(problemWith(facts, entries, 65_532)).toBe(want)
  })

  it('is made for the training user alone, and found again with what it holds', async () => {
    const path = await prepare()
    const { uid, mode } = await stat(path)
    expect([uid, mode & 0o777]).toEqual([USER, 0o700])
    await writeFile(join(path, 'state'), 'x')
    expect(await prepare()).toBe(path)
    expect(await readdir(path)).toEqual(['state'])
  })

  it.runIf(USER === 0)('that the kubelet made is given to the training user', async () => {
    const path = await folderOf(CAMPAIGN)
    await prepare({ owner: 12_345 })
    const { uid, gid, mode } = await stat(path)
    expect([uid, gid, mode & 0o777]).toEqual([12_345, 12_345, 0o700])
  })

  it.runIf(USER === 0)('of somebody else is refused by its name', async () => {
    await chown(await folderOf(CAMPAIGN), 12_345, 12_345)
    await expect(prepare({ owner: 65_532 })).rejects.toThrow(
      `${join(campaignsFolder, CAMPAIGN)} belongs to user 12345; expected user 65532`,
    )
  })

  it('that is a link is refused, wherever that leads', async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'elsewhere-'))
    await symlink(elsewhere, join(campaignsFolder, CAMPAIGN))
    await expect(prepare()).rejects.toThrow('is not a folder')
    await rm(elsewhere, { recursive: true })
  })
})

describe('folders of other campaigns', () => {
  const long = new Date(Date.now() - 31 * DAY_MS)

  async function left(name: string, used: Date, withLock = true): Promise<string> {
    const folder = await folderOf(name)
    await mkdir(join(folder, 'state'))
    await writeFile(join(folder, 'state', 'vector'), 'x')
    if (withLock) {
      FolderLock.tryTake(folder, Date.now)?.release()
      await utimes(join(folder, 'lock'), used, used)
    }
    await utimes(folder, long, long)
    return folder
  }

  it('go when they were not used for so many days', async () => {
    await left('old', long)
    await left('old-without-lock', long, false)
    await left('used', new Date(Date.now() - 29 * DAY_MS))
    await prepare()
    expect((await readdir(campaignsFolder)).sort()).toEqual([CAMPAIGN, 'used'].sort())
  })

  it('stay as long as somebody uses them', async () => {
    const folder = await left('old', long)
    const lock = FolderLock.tryTake(folder, Date.now)
    await utimes(join(folder, 'lock'), long, long)
    await utimes(folder, long, long)
    await prepare()
    expect(await readdir(campaignsFolder)).toContain('old')
    lock?.release()
    await prepare()
    expect(await readdir(campaignsFolder)).not.toContain('old')
  })

  it('are told from files, links and names that no campaign has', async () => {
    await writeFile(join(campaignsFolder, 'file'), '')
    await symlink('/nowhere', join(campaignsFolder, 'link'))
    await utimes(await folderOf('lost+found'), long, long)
    await prepare()
    expect((await readdir(campaignsFolder)).sort()).toEqual([CAMPAIGN, 'file', 'link', 'lost+found'].sort())
  })
})

describe('work in a folder', () => {
  const options = { log, signal: new AbortController().signal, now: Date.now, waitMs: 0 }

  it('is alone there', async () => {
    await inOwnFolder(campaignsFolder, options, async () => {
      await expect(inOwnFolder(campaignsFolder, options, async () => 'second')).rejects.toThrow(
        `${campaignsFolder} is in use by another pod of this campaign on this node`,
      )
    })
    expect(await inOwnFolder(campaignsFolder, options, async () => 'third')).toBe('third')
  })

  it('begins once the other one has ended', async () => {
    const first = FolderLock.tryTake(campaignsFolder, Date.now)
    const waiting = inOwnFolder(campaignsFolder, { ...options, waitMs: 60_000 }, async () => 'second')
    first?.release()
    expect(await waiting).toBe('second')
  })

  it('ends waiting with the reason that it is given', async () => {
    const first = FolderLock.tryTake(campaignsFolder, Date.now)
    const controller = new AbortController()
    const waiting = inOwnFolder(
      campaignsFolder,
      { log, signal: controller.signal, now: Date.now, waitMs: 60_000 },
      async () => 'second',
    )
    controller.abort(new Error('received SIGTERM'))
    await expect(waiting).rejects.toThrow('received SIGTERM')
    first?.release()
  })

  it('that is done leaves nothing, and work that failed leaves everything', async () => {
    const path = join(campaignsFolder, 'outbox')
    const failing = inOwnFolder(campaignsFolder, options, async () => {
      await mkdir(path)
      throw new Error('stopped')
    })
    await expect(failing).rejects.toThrow('stopped')
    expect((await readdir(campaignsFolder)).sort()).toEqual(['lock', 'outbox'])
    await inOwnFolder(campaignsFolder, options, async () => 'finished')
    expect(await readdir(campaignsFolder)).toEqual(['lock'])
  })
})
