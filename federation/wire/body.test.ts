import { mkdtemp, open, readFile, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Float32Scan, UpdateCheck } from '#federation/aggregation/check-update.ts'
import { referenceKernels } from '#federation/aggregation/reference-kernels.ts'
import { receiveBody, type BodyEnd } from './body.ts'

let directory: string
let path: string
let file: FileHandle
let check: UpdateCheck
let counted: number
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-body-'))
  path = join(directory, 'update')
  file = await open(path, 'w+')
  check = new UpdateCheck(new Float32Scan(referenceKernels))
  counted = 0
})
afterEach(async () => {
  await file.close()
  await rm(directory, { recursive: true, force: true })
})

const bytes = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7) % 120))

async function receive(body: PassThrough, room = 1e9): Promise<BodyEnd> {
  const onBytes = (count: number): void => {
    counted += count
  }
  return receiveBody(body, { file, check, room, onBytes })
}

describe('a body', () => {
  it.each([
    { name: 'nothing', length: 0, piece: 1 },
    { name: 'a few bytes', length: 10, piece: 3 },
    { name: 'more pieces than a batch has', length: 3_000, piece: 1 },
    { name: 'more bytes than a batch has', length: 5_000_000, piece: 65_536 },
    { name: 'pieces larger than a batch', length: 5_000_000, piece: 1_500_000 },
  ])('reaches the disk and the check: $name', async ({ length, piece }) => {
    const body = new PassThrough()
    const all = bytes(length)
    const received = receive(body)
    for (let at = 0; at < length; at += piece) {
      if (!body.write(all.subarray(at, at + piece)))
        await new Promise((resolve) => body.once('drain', resolve))
    }
    body.end()
    expect(await received).toBe('whole')
    expect((await readFile(path)).equals(all)).toBe(true)
    expect([check.size, counted]).toEqual([length, length])
  })

  it('gives the memory of its pieces back once they are written, but not memory that others use', async () => {
    const [own, shared] = [new Uint8Array(1_000), new Uint8Array(1_000)]
    const body = new PassThrough()
    const received = receive(body)
    body.write(Buffer.from(own.buffer))
    body.end(Buffer.from(shared.buffer, 0, 500))
    expect(await received).toBe('whole')
    expect([own.byteLength, shared.byteLength]).toEqual([0, 1_000])
  })

  it('that breaks off leaves on the disk what had arrived, and the check knows it', async () => {
    const body = new PassThrough()
    const received = receive(body)
    body.write(bytes(1_000))
    await new Promise((resolve) => setImmediate(resolve))
    body.destroy(new Error('gone'))
    expect(await received).toBe('interrupted')
    expect([(await readFile(path)).length, check.size]).toEqual([1_000, 1_000])
  })

  it('that had broken off before it was looked at is interrupted', async () => {
    const body = new PassThrough()
    body.on('error', () => undefined)
    body.destroy(new Error('gone'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(await receive(body)).toBe('interrupted')
  })

  it('that stands still is on the disk all the same', async () => {
    const body = new PassThrough()
    const received = receive(body)
    body.write(bytes(100))
    while ((await readFile(path)).length < 100) await new Promise((resolve) => setImmediate(resolve))
    body.end()
    expect(await received).toBe('whole')
  })

  it('that is too long ends before the piece that is too much', async () => {
    const body = new PassThrough()
    const received = receive(body, 150)
    body.write(bytes(100))
    body.write(bytes(100))
    expect(await received).toBe('tooLong')
    expect([(await readFile(path)).length, check.size, body.destroyed]).toEqual([100, 100, false])
  })

  it('is not accepted when the disk failed while more was arriving', async () => {
    file.datasync = async () => Promise.reject(new Error('EIO'))
    const body = new PassThrough()
    const received = receive(body)
    body.end(bytes(5_000_000))
    await expect(received).rejects.toThrow('EIO')
  })

  it('is not accepted by a disk that refuses it', async () => {
    await file.close()
    file = await open(path, 'r')
    const body = new PassThrough()
    const received = receive(body)
    body.end(bytes(100))
    await expect(received).rejects.toThrow('EBADF')
  })
})
