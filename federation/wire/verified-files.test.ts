import { mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { VerifiedFiles } from './verified-files.ts'

let folder: string
let path: string
let files: VerifiedFiles
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verified-'))
  path = join(folder, 'blob')
  await writeFile(path, 'bytes')
  files = new VerifiedFiles()
})
afterEach(async () => rm(folder, { recursive: true }))

describe('a verified file', () => {
  it('is known for as long as nobody touches it', async () => {
    expect(await files.has(path)).toBe(false)
    await files.add(path)
    expect(await files.has(path)).toBe(true)
  })

  it.each([
    { name: 'it was shortened', touch: async () => truncate(path, 3) },
    { name: 'it is gone', touch: async () => rm(path) },
    {
      name: 'another file has its name',
      touch: async () => {
        await writeFile(join(folder, 'other'), 'bytes')
        await rename(join(folder, 'other'), path)
      },
    },
  ])('is not known any more once $name', async ({ touch }) => {
    await files.add(path)
    await touch()
    expect(await files.has(path)).toBe(false)
  })

  it('is forgotten when many others have been verified since', async () => {
    await files.add(path)
    for (let i = 0; i < 64; i++) {
      const other = join(folder, String(i))
      await writeFile(other, '')
      await files.add(other)
    }
    expect(await files.has(path)).toBe(false)
  })

  it('that is not there is not added', async () => {
    await files.add(join(folder, 'absent'))
    expect(await files.has(join(folder, 'absent'))).toBe(false)
  })
})
