import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SpoolFile } from './spool-file.ts'
import { SpareFiles } from '../store/spares.ts'

const SIZE = 100_000
const OLD = Buffer.alloc(SIZE, 'old ')
const NEW = Buffer.alloc(SIZE, 'new!')

let directory: string
let folder: string
let path: string
let spares: SpareFiles
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-spool-'))
  spares = new SpareFiles(join(directory, 'hub'))
  await spares.open()
  const merged = join(directory, 'merged')
  await writeFile(merged, OLD)
  await spares.discard(merged)
  folder = await mkdtemp(join(directory, 'updates-'))
  path = join(folder, 'x.update')
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

const open = async (whole?: number): Promise<SpoolFile> => SpoolFile.open({ path, whole, spares })
const names = async (): Promise<string[]> => readdir(folder)

describe('an update that one request brings, where a file of its size is to be had', () => {
  it('is written over it, and has its name once it is whole', async () => {
    const file = await open(SIZE)
    await file.handle.write(NEW, 0, SIZE, 0)
    expect([file.size, (await names()).includes('x.update')]).toEqual([0, false])
    expect(await readFile(join(folder, (await names())[0] ?? ''))).toEqual(NEW)
    await file.finish(SIZE)
    await file.close()
    expect(await names()).toEqual(['x.update'])
    expect(await readFile(path)).toEqual(NEW)
  })

  it('that breaks off leaves what had arrived and nothing of the old file, and goes on from there', async () => {
    const file = await open(SIZE)
    await file.handle.write(NEW, 0, 30_000, 0)
    await file.leave(30_000)
    await file.close()
    expect(await readFile(path)).toEqual(NEW.subarray(0, 30_000))
    const next = await open()
    expect(next.size).toBe(30_000)
    await next.close()
  })

  it('that fails leaves nothing', async () => {
    const file = await open(SIZE)
    await file.handle.write(NEW, 0, 30_000, 0)
    await file.close()
    expect(await names()).toEqual([])
  })

  it('does not count when the file is longer than the update', async () => {
    const file = await open(SIZE)
    await expect(file.finish(30_000)).rejects.toThrow('not 30000 bytes')
    await file.close()
    expect(await names()).toEqual([])
  })
})

describe('an update gets a file of its own', () => {
  it.each([
    { name: 'when more than one request brings it', whole: undefined },
    { name: 'when none of its size is to be had', whole: SIZE + 1 },
  ])('$name', async ({ whole }) => {
    const file = await open(whole)
    await file.name()
    await file.close()
    expect((await readFile(path)).length).toBe(0)
  })

  it('which is the one that it has begun in', async () => {
    await writeFile(path, NEW.subarray(0, 10))
    const file = await open(SIZE)
    expect(file.size).toBe(10)
    await file.close()
    expect(await readFile(path)).toEqual(NEW.subarray(0, 10))
  })
})
