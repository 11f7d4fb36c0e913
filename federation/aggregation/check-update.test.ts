import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkUpdateFile, FiniteScan } from './check-update.ts'

let path: string
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-check-'))
  path = join(directory, 'update')
})
afterAll(async () => rm(directory, { recursive: true, force: true }))

const bytesOf = (values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer)
const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

describe('an update file', () => {
  const good = bytesOf([1, -0, 3.4e38, 1e-45])
  it.each([
    { name: 'counts when size, digest and numbers are right', bytes: good, size: 16, want: undefined },
    { name: 'is refused when too long', bytes: good, size: 12, want: 'has 16 bytes; the parameters take 12' },
    {
      name: 'is refused when too short',
      bytes: good,
      size: 20,
      want: 'has 16 bytes; the parameters take 20',
    },
    {
      name: 'is refused for NaN',
      bytes: bytesOf([1, Number.NaN]),
      size: 8,
      want: 'value 1 is not a finite number',
    },
    {
      name: 'is refused for infinity',
      bytes: bytesOf([-Infinity]),
      size: 4,
      want: 'value 0 is not a finite number',
    },
  ])('$name', async ({ bytes, size, want }) => {
    await writeFile(path, bytes)
    const verdict = await checkUpdateFile(path, { size, digest: digestOf(bytes) })
    expect(verdict.ok).toBe(want === undefined)
    if (!verdict.ok) expect(verdict.detail).toContain(want)
  })

  it('is refused when its bytes are not the announced ones', async () => {
    await writeFile(path, good)
    const verdict = await checkUpdateFile(path, { size: 16, digest: digestOf(Buffer.from('other')) })
    expect(verdict).toMatchObject({ ok: false, detail: expect.stringContaining('announced was') as string })
  })
})

describe('the scan for numbers that are not finite', () => {
  it('agrees with Number.isFinite for every bit pattern and every way to cut the stream', () => {
    const patterns = fc.array(
      fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0x7f800000, 0xff800000, 0x7fc00000)),
      {
        maxLength: 12,
      },
    )
    const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(patterns, cuts, (bits, lengths) => {
        const values = Uint32Array.from(bits)
        const bytes = new Uint8Array(values.buffer)
        const scan = new FiniteScan()
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const length = lengths[turn % lengths.length] ?? 1
          scan.push(bytes.subarray(at, at + length))
          at += length
        }
        const first = new Float32Array(values.buffer).findIndex((value) => !Number.isFinite(value))
        expect(scan.firstNotFinite).toBe(first < 0 ? undefined : first)
      }),
      { numRuns: 500 },
    )
  })
})
