import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withLock } from './lock.ts'

describe('withLock', () => {
  let folder: string
  let file: string

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tributary-lock-'))
    file = path.join(folder, 'lock')
  })

  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  it('turns away whoever comes second, naming the process that holds it', async () => {
    const second = withLock(file, 'cluster "a"', () =>
      withLock(file, 'cluster "a"', () => Promise.resolve('in')),
    )
    await expect(second).rejects.toThrow(`cluster "a": process ${String(process.pid)} is working on it`)
  })

  it('takes over what a process that is gone, or half a write, left behind', async () => {
    for (const left of ['', 'boot\n1 (gone) S 1 1 1 0 -1 1 1 0 0 0 0 0 0 0 20 0 1 0 1 0 0\n']) {
      await writeFile(file, left)
      expect(await withLock(file, 'cluster "a"', () => Promise.resolve('in'))).toBe('in')
    }
  })

  it('is gone afterwards, also after a failure', async () => {
    await expect(withLock(file, 'x', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await readdir(folder)).toEqual([])
  })
})
