import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { BlobStore } from './blobs.ts'
import { readRecord, removeTemporaryFiles, removeTree, writeRecord } from './files.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tributary-store-'))
})
afterEach(async () => rm(root, { recursive: true, force: true }))

const Point = z.object({ x: z.number() })

describe('records', () => {
  it('come back as they were written, from folders that did not exist', async () => {
    const path = join(root, 'a/b/c.json')
    await writeRecord(path, { x: 1 })
    await writeRecord(path, { x: 2 })
    expect(await readRecord(path, Point)).toEqual({ x: 2 })
    expect(await readdir(join(root, 'a/b'))).toEqual(['c.json'])
  })

  it('that were never written are undefined', async () => {
    expect(await readRecord(join(root, 'nothing.json'), Point)).toBeUndefined()
  })

  it('that are damaged name the file and the field', async () => {
    const path = join(root, 'p.json')
    await writeFile(path, '{"x":"one"}')
    await expect(readRecord(path, Point)).rejects.toThrow(/p\.json is damaged: x /)
    await writeFile(path, '{"x":')
    await expect(readRecord(path, Point)).rejects.toThrow(/p\.json/)
  })

  it('leave the old one when the new one cannot be written', async () => {
    const path = join(root, 'p.json')
    await writeRecord(path, { x: 1 })
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    await expect(writeRecord(path, circular)).rejects.toThrow()
    expect(await readRecord(path, Point)).toEqual({ x: 1 })
  })
})

describe('what a crash leaves', () => {
  it('is removed at the start: half-written files and half-removed folders', async () => {
    await mkdir(join(root, 'campaigns/x.7.tmp~/rounds'), { recursive: true })
    await writeFile(join(root, 'campaigns/x.7.tmp~/plan.json'), '{}')
    await mkdir(join(root, 'blobs'))
    await writeFile(join(root, 'blobs/incoming.3.tmp~'), 'half')
    await writeFile(join(root, 'blobs/whole'), 'whole')
    await removeTemporaryFiles(root)
    expect(await readdir(join(root, 'blobs'))).toEqual(['whole'])
    expect(await readdir(join(root, 'campaigns'))).toEqual([])
  })

  it('leaves alone what merely is called like something temporary', async () => {
    await writeRecord(join(root, 'updates/edge.tmp/update.json'), { x: 1 })
    await writeRecord(join(root, 'updates/edge.1.tmp/update.json'), { x: 2 })
    await removeTemporaryFiles(root)
    expect(await readRecord(join(root, 'updates/edge.tmp/update.json'), Point)).toEqual({ x: 1 })
    expect(await readRecord(join(root, 'updates/edge.1.tmp/update.json'), Point)).toEqual({ x: 2 })
  })

  it('a folder is removed in one step', async () => {
    await writeRecord(join(root, 'campaigns/x/plan.json'), {})
    await removeTree(join(root, 'campaigns/x'))
    expect(await readdir(join(root, 'campaigns'))).toEqual([])
    await removeTree(join(root, 'campaigns/x'))
  })
})

describe('blobs', () => {
  let blobs: BlobStore
  beforeEach(async () => {
    blobs = new BlobStore(root)
    await blobs.open()
  })

  it('are named by their content', async () => {
    const first = await blobs.put(Buffer.from('hello'))
    expect(first).toEqual({
      digest: 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      size: 5,
    })
    expect(await blobs.put(Buffer.from('hello'))).toEqual(first)
    expect((await blobs.read(first.digest)).toString()).toBe('hello')
    expect(await readFile(blobs.path(first.digest), 'utf8')).toBe('hello')
  })

  it('do not exist when writing them failed', async () => {
    const failing = blobs.write(async (write) => {
      await write(Buffer.from('half'))
      throw new Error('stop')
    })
    await expect(failing).rejects.toThrow('stop')
    expect(await readdir(join(root, 'blobs/sha256'))).toEqual([])
  })

  it('are swept when nothing names them', async () => {
    const [kept, swept] = [await blobs.put(Buffer.from('kept')), await blobs.put(Buffer.from('swept'))]
    blobs.sweep(() => new Set([kept.digest]))
    expect(await blobs.size(kept.digest)).toBe(4)
    expect(await blobs.size(swept.digest)).toBeUndefined()
  })

  it('are not swept between their last byte and the record that names them', async () => {
    const named = new Set<string>()
    const written = await blobs.hold(async () => {
      const blob = await blobs.put(Buffer.from('new'))
      blobs.sweep(() => named)
      await Promise.resolve()
      named.add(blob.digest)
      return blob
    })
    expect(await blobs.size(written.digest)).toBe(3)
  })
})
