import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { ParameterFile } from './parameter-file.ts'

let folder: string
let file: ParameterFile
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parameters-'))
  file = new ParameterFile()
})
afterEach(async () => rm(folder, { recursive: true }))

async function write(name: string, values: readonly number[]): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, new Uint8Array(Float32Array.from(values).buffer))
  return path
}

describe('a file of parameters', () => {
  it('is read as it is, also when others were read before', async () => {
    const [a, b] = [await write('a', [1, 2]), await write('b', [3, 4])]
    expect([...(await file.read(a, 2))]).toEqual([1, 2])
    expect([...(await file.read(a, 2))]).toEqual([1, 2])
    expect([...(await file.read(b, 2))]).toEqual([3, 4])
    expect([...(await file.read(a, 2))]).toEqual([1, 2])
  })

  it('is read again when it was written again', async () => {
    const path = await write('a', [1, 2])
    await file.read(path, 2)
    await write('a', [5, 6])
    expect([...(await file.read(path, 2))]).toEqual([5, 6])
  })

  it('uses the same memory for every file of the same length', async () => {
    const first = await file.read(await write('a', [1, 2]), 2)
    expect(await file.read(await write('b', [3, 4]), 2)).toBe(first)
  })

  it('is refused when it has another length, and so is the same file again', async () => {
    const path = await write('a', [1, 2])
    const refused = { reason: 'GraphsUnusable', message: 'a has 8 bytes, the graphs need 12' }
    await expect(file.read(path, 3)).rejects.toMatchObject(refused)
    await expect(file.read(path, 3)).rejects.toMatchObject(refused)
  })
})
