import { createHash } from 'node:crypto'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { catchUp } from '#federation/wire/body.ts'
import { Float32Scan, UpdateCheck, type UpdateVerdict } from './check-update.ts'
import { referenceKernels } from './reference-kernels.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-check-'))
})
afterAll(async () => rm(directory, { recursive: true, force: true }))

const bytesOf = (values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer)
const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const newCheck = (): UpdateCheck => new UpdateCheck(new Float32Scan(referenceKernels))

function verdictOn(bytes: Uint8Array, expected: { size: number; digest?: string }): UpdateVerdict {
  const check = newCheck()
  check.push(bytes)
  return check.verdict({ digest: digestOf(bytes), ...expected })
}

describe('an update', () => {
  const good = bytesOf([1, -0, 3.4e38, 1e-45])
  it.each([
    { name: 'is refused when too long', bytes: good, size: 12, want: 'has 16 bytes; the parameters take 12' },
    {
      name: 'is refused when too short',
      bytes: good,
      size: 20,
      want: 'has 16 bytes; the parameters take 20',
    },
    { name: 'is refused for NaN', bytes: bytesOf([1, Number.NaN]), size: 8, want: 'value 1 is not a finite' },
    {
      name: 'is refused for infinity',
      bytes: bytesOf([-Infinity]),
      size: 4,
      want: 'value 0 is not a finite',
    },
  ])('$name', ({ bytes, size, want }) => {
    expect(verdictOn(bytes, { size })).toMatchObject({
      ok: false,
      detail: expect.stringContaining(want) as string,
    })
  })

  it('counts when size, digest and numbers are right, and has its norm', () => {
    expect(verdictOn(bytesOf([3, -4]), { size: 8 })).toEqual({ ok: true, squaredNorm: 25 })
  })

  it('is refused when its bytes are not the announced ones', () => {
    const verdict = verdictOn(good, { size: 16, digest: digestOf(Buffer.from('other')) })
    expect(verdict).toMatchObject({ ok: false, detail: expect.stringContaining('announced was') as string })
  })

  it('whose values are larger than any sum may be in float32 still counts', () => {
    const verdict = verdictOn(bytesOf(new Array<number>(1000).fill(-3.4e38)), { size: 4000 })
    expect(verdict).toMatchObject({ ok: true })
  })
})

describe('a check that did not see the beginning', () => {
  const values = Array.from({ length: 700_001 }, (_, i) => Math.sin(i))
  const bytes = bytesOf(values)

  it.each([0, 1, 1_048_577, bytes.length])('reads the first %i bytes from the disk', async (known) => {
    const path = join(directory, 'update')
    await writeFile(path, bytes.subarray(0, known))
    const check = newCheck()
    const file = await open(path)
    await catchUp(check, file, known)
    await file.close()
    expect(check.size).toBe(known)
    check.push(bytes.subarray(known))
    expect(check.verdict({ size: bytes.length, digest: digestOf(bytes) })).toEqual(
      verdictOn(bytes, { size: bytes.length }),
    )
  })

  it('fails when the disk holds less than it should', async () => {
    const path = join(directory, 'short')
    await writeFile(path, bytes.subarray(0, 10))
    const file = await open(path)
    await expect(catchUp(newCheck(), file, 11)).rejects.toThrow('ends at byte 10, not at 11')
    await file.close()
  })
})

describe('the scan of float32 values', () => {
  it('finds the first that is not finite, and the same norm, for every bit pattern and every way to cut the stream', () => {
    const special = fc.constantFrom(0x7f800000, 0xff800000, 0x7fc00000)
    const patterns = fc.array(fc.oneof({ weight: 6, arbitrary: fc.nat(0xffffffff) }, special), {
      maxLength: 12,
    })
    const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(patterns, cuts, (bits, lengths) => {
        const bytes = new Uint8Array(Uint32Array.from(bits).buffer)
        const values = new Float32Array(bytes.buffer)
        const scan = new Float32Scan(referenceKernels)
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const length = lengths[turn % lengths.length] ?? 1
          scan.push(bytes.subarray(at, at + length))
          at += length
        }
        const first = values.findIndex((value) => !Number.isFinite(value))
        if (first < 0) {
          const whole = new Float32Scan(referenceKernels)
          whole.push(bytes)
          expect(scan.problem).toBeUndefined()
          expect(scan.squaredNorm).toBe(whole.squaredNorm)
        } else expect(scan.problem).toContain(`value ${first} is not a finite number`)
      }),
      { numRuns: 500 },
    )
  })
})
