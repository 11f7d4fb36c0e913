import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readTransferConfiguration } from './configuration.ts'
import type { UpdateReader } from '#federation/aggregation/reader.ts'
import { openUpdate } from './codec.ts'
import { updateLayout } from './layout.ts'
import { bytesSource, openFile } from './source.ts'

let directory: string
let path: string
const values = Float32Array.from({ length: 1000 }, (_, index) => Math.sin(index))
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-reader-'))
  path = join(directory, 'update')
  await writeFile(path, new Uint8Array(values.buffer))
})
afterAll(async () => rm(directory, { recursive: true, force: true }))

async function openFloat32(file: string, length: number): Promise<UpdateReader> {
  const layout = updateLayout([{ shape: [length], trainable: true }])
  return openUpdate(await openFile(file), layout, { type: 'Float32' })
}

describe('a Float32 update on disk', () => {
  it.each([
    { name: 'as a whole', start: 0, count: 1000 },
    { name: 'from the middle', start: 417, count: 100 },
    { name: 'the last value', start: 999, count: 1 },
    { name: 'nothing at the end', start: 1000, count: 0 },
  ])('is read $name', async ({ start, count }) => {
    const reader = await openFloat32(path, 1000)
    const into = new Float32Array(count)
    await reader.read(start, into)
    await reader.close()
    expect(into).toEqual(values.subarray(start, start + count))
  })

  it.each([
    { length: 999, said: 'has 4000 bytes; 999 float32 values take 3996' },
    { length: 1001, said: 'has 4000 bytes; 1001 float32 values take 4004' },
  ])('is refused when $length values are expected', async ({ length, said }) => {
    await expect(openFloat32(path, length)).rejects.toThrow(said)
  })

  it.each([
    { start: -1, count: 1 },
    { start: 999, count: 2 },
    { start: 0.5, count: 1 },
  ])('does not have $count values from $start on', async ({ start, count }) => {
    const reader = await openFloat32(path, 1000)
    await expect(reader.read(start, new Float32Array(count))).rejects.toThrow(RangeError)
    await reader.close()
  })

  it('is refused when the file became shorter after opening', async () => {
    const shrinking = join(directory, 'shrinking')
    await writeFile(shrinking, new Uint8Array(8))
    const reader = await openFloat32(shrinking, 2)
    await writeFile(shrinking, new Uint8Array(7))
    await expect(reader.read(0, new Float32Array(2))).rejects.toThrow('end at 7; 8 are needed')
    await reader.close()
  })
})

it('bytes in memory end where they end', async () => {
  const source = bytesSource(Uint8Array.of(1, 2, 3))
  const into = new Uint8Array(2)
  await source.read(1, into)
  expect(into).toEqual(Uint8Array.of(2, 3))
  await expect(source.read(2, into)).rejects.toThrow('end at 3; 4 are needed')
})

describe('a transfer configuration', () => {
  it('is float32 unless told', () => {
    expect(readTransferConfiguration({})).toEqual({
      upload: { codec: { type: 'Float32' }, errorFeedback: false },
      download: { type: 'Full' },
    })
  })

  it('has defaults for what a codec takes', () => {
    const { upload, download } = readTransferConfiguration({ upload: { codec: { type: 'Int8' } } })
    expect(upload).toEqual({ codec: { type: 'Int8', rank: 16 }, errorFeedback: false })
    expect(download).toEqual({ type: 'Full' })
  })

  it.each([
    {
      name: 'TopK without error feedback',
      value: { upload: { codec: { type: 'TopK' } } },
      said: 'upload.errorFeedback',
    },
    {
      name: 'error feedback on exact values',
      value: { upload: { errorFeedback: true } },
      said: 'upload.errorFeedback',
    },
    {
      name: 'a fraction of 0',
      value: { upload: { codec: { type: 'SparseTernary', fraction: 0 }, errorFeedback: true } },
      said: 'upload.codec.fraction',
    },
    { name: 'an unknown codec', value: { upload: { codec: { type: 'Zip' } } }, said: 'upload.codec.type' },
    { name: 'an unknown field', value: { uplaod: {} }, said: 'uplaod' },
    {
      name: 'a field of another codec',
      value: { upload: { codec: { type: 'Float32', bits: 8 } } },
      said: 'bits',
    },
  ])('with $name is refused', ({ value, said }) => {
    expect(() => readTransferConfiguration(value)).toThrow(said)
  })
})
