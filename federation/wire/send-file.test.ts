import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Pacer } from './pacer.ts'
import { sendFile } from './send-file.ts'

const BYTES = randomBytes(700_001)

let folder: string
let file: FileHandle
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'send-file-'))
  await writeFile(join(folder, 'file'), BYTES)
  file = await open(join(folder, 'file'))
})
afterEach(async () => {
  await file.close()
  await rm(folder, { recursive: true })
})

/** Takes each piece only after other work had its turn, as a connection does, and copies it then. */
class Slow extends Writable {
  readonly pieces: Buffer[] = []
  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    setImmediate(() => {
      this.pieces.push(Buffer.from(piece))
      done()
    })
  }
}

describe('a file on its way', () => {
  it.each([
    { start: 0, end: 700_001 },
    { start: 123, end: 124 },
    { start: 262_144, end: 700_000 },
    { start: 5, end: 5 },
  ])('arrives as it is, bytes $start to $end', async ({ start, end }) => {
    const outgoing = new Slow()
    let counted = 0
    await sendFile(file, { start, end }, outgoing, {
      onSent: (bytes) => {
        counted += bytes
      },
    })
    expect(Buffer.concat(outgoing.pieces).equals(BYTES.subarray(start, end))).toBe(true)
    expect([counted, outgoing.writableEnded]).toEqual([end - start, false])
  })

  it('is divided into pieces that its pacer has counted', async () => {
    const outgoing = new Slow()
    const pacer = new Pacer(2_000_000)
    const waitMs = vi.spyOn(pacer, 'waitMs').mockReturnValue(0)
    await sendFile(file, { start: 0, end: 700_001 }, outgoing, { pacer })
    expect(Buffer.concat(outgoing.pieces).equals(BYTES)).toBe(true)
    expect(waitMs.mock.calls.map(([bytes]) => bytes)).toEqual([250_000, 250_000, 200_001])
  })

  it('that is shorter than announced is an error', async () => {
    const sending = sendFile(file, { start: 0, end: 700_002 }, new Slow())
    await expect(sending).rejects.toThrow('the file ends at byte 700001, not at 700002')
  })

  it.each(['before', 'while'] as const)(
    'does not outlive a connection that ends %s it is sent',
    async (when) => {
      const outgoing = new Writable({ write: () => undefined })
      outgoing.on('error', () => undefined)
      if (when === 'before') outgoing.destroy()
      const sending = sendFile(file, { start: 0, end: 700_001 }, outgoing)
      setImmediate(() => outgoing.destroy())
      await expect(sending).rejects.toThrow()
    },
  )
})
