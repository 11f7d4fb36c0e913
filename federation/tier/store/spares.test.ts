import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MAXIMUM_CHUNK_BYTES } from '#federation/wire/names.ts'
import { removeTemporaryFiles } from './files.ts'
import { SpareFiles } from './spares.ts'

const SIZE = 100_000

let directory: string
let spares: SpareFiles
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-spares-'))
  spares = new SpareFiles(directory)
  await spares.open()
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

async function discarded(name: string, size: number): Promise<void> {
  const path = join(directory, name)
  await writeFile(path, Buffer.alloc(size, name))
  await spares.discard(path)
}

const kept = async (): Promise<number> => (await readdir(join(directory, 'spares'))).length
const files = async (): Promise<string[]> => (await readdir(directory)).filter((name) => name !== 'spares')

describe('a file that is discarded', () => {
  it('is there for an update of the same size, once', async () => {
    await discarded('old', SIZE)
    expect([await files(), await kept()]).toEqual([[], 1])
    expect(await spares.take(SIZE, join(directory, 'new'))).toBe(true)
    expect((await readFile(join(directory, 'new'))).length).toBe(SIZE)
    expect(await spares.take(SIZE, join(directory, 'newer'))).toBe(false)
    expect(await files()).toEqual(['new'])
  })

  it('makes room for an update of another size', async () => {
    await discarded('old', SIZE)
    await discarded('older', SIZE)
    expect(await spares.take(SIZE + 1, join(directory, 'new'))).toBe(false)
    expect([await files(), await kept()]).toEqual([[], 1])
  })

  it('is removed when it is small, and missed by nobody when it is not there', async () => {
    await discarded('small', 1000)
    await spares.discard(join(directory, 'never'))
    expect([await files(), await kept()]).toEqual([[], 0])
  })

  it('is removed when no request can bring an update of its size', async () => {
    for (const size of [MAXIMUM_CHUNK_BYTES, MAXIMUM_CHUNK_BYTES + 1]) {
      const path = join(directory, 'long')
      await writeFile(path, '')
      await truncate(path, size)
      await spares.discard(path)
    }
    expect([await files(), await kept()]).toEqual([[], 1])
  })

  it('is kept from an update so small that it needs none', async () => {
    await discarded('old', SIZE)
    expect(await spares.take(1000, join(directory, 'new'))).toBe(false)
    expect(await kept()).toBe(1)
  })

  it('is removed with what a crash leaves behind', async () => {
    await discarded('old', SIZE)
    await removeTemporaryFiles(directory)
    expect(await kept()).toBe(0)
  })
})
