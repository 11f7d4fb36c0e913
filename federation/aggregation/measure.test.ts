import { describe, expect, it } from 'vitest'
import { sameBits } from './kernels.case.ts'
import { GRAM_BLOCK } from './kernels.ts'
import { measure } from './measure.ts'
import { inMemory, Sources } from './reader.ts'
import { referenceKernels } from './reference-kernels.ts'
import { Rows } from './rows.ts'
import type { Geometry } from './strategy.ts'

const length = 5 * GRAM_BLOCK + 333
const trainableCount = 3 * GRAM_BLOCK + 100
const updates = [0, 1, 2].map((k) =>
  Float32Array.from({ length: length + 50 }, (_, i) => Math.sin(i * (k + 1)) * 10 ** ((i % 9) - 4)),
)

async function measured(geometry: Geometry, memoryBytes: number): Promise<Float64Array> {
  const sources = new Sources(
    updates.map((values, k) => ({ name: String(k), length: values.length, open: inMemory(values) })),
  )
  const shape = { updates: updates.length, parameterCount: length, trainableCount }
  const rows = new Rows(sources, referenceKernels, undefined)
  return measure(geometry, { ...shape, rows, kernels: referenceKernels, memoryBytes })
}

const product = (a: Float32Array, b: Float32Array, count: number): number =>
  a.subarray(0, count).reduce((sum, value, i) => sum + value * b[i]!, 0)

describe('what strategies may know of the geometry', () => {
  it('is inner products of all parameters, sections left out', async () => {
    const gram = await measured('Pairs', 1 << 20)
    for (const [k, a] of updates.entries()) {
      for (const [l, b] of updates.entries()) {
        expect(gram[k * 3 + l]! / product(a, b, length)).toBeCloseTo(1, 9)
      }
    }
  })

  it('is squared norms of the trainable values', async () => {
    const norms = await measured('Norms', 1 << 20)
    expect(norms).toHaveLength(3)
    for (const [k, a] of updates.entries()) {
      expect(norms[k]! / product(a, a, trainableCount)).toBeCloseTo(1, 9)
    }
  })

  it.each(['Pairs', 'Norms'] as const)('has the same bits whatever the memory: %s', async (geometry) => {
    const whole = await measured(geometry, 1 << 20)
    for (const memoryBytes of [1, 12 * 1500, 4 * 1500, 12 * 2048, 12 * 5000]) {
      expect(sameBits(await measured(geometry, memoryBytes), whole)).toBe(true)
    }
  })
})
