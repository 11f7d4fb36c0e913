// Vectors that look like a node's update: matrices that are sums of few outer products with sparse factors, plus noise, rows and
// columns of zeros, vectors, and running state. Drawn from a seed.
import { Random } from '#federation/training/random.ts'
import { type Layout, updateLayout } from '../layout.ts'

export const layout: Layout = updateLayout(
  [
    { shape: [120, 300], trainable: true },
    { shape: [120], trainable: true },
    { shape: [8, 3, 3, 3], trainable: true },
    { shape: [10, 120], trainable: true },
    { shape: [], trainable: true },
    { shape: [8], trainable: false },
  ],
  [120 * 300 + 120 + 216 + 1200 + 1, 77],
)

export function anUpdate(seed: number, of: Layout = layout): Float32Array {
  const random = new Random(seed, 7)
  const uniform = (): number => random.uint32() / 2 ** 31 - 1
  const values = Float32Array.from({ length: of.length }, () => 1e-3 * uniform() ** 3)
  for (const { offset, rows, columns } of of.matrices) {
    if (rows === 1) continue
    const left = Array.from({ length: rows }, (_, row) => (row % 7 === 0 ? 0 : uniform() ** 3))
    const right = Array.from({ length: columns }, (_, column) => (column % 5 === 0 ? 0 : uniform() ** 3))
    for (let i = 0; i < rows * columns; i++) {
      const row = left[Math.floor(i / columns)] ?? 0
      const column = right[i % columns] ?? 0
      const noise = 1 + uniform() / 2
      values[offset + i] = row === 0 || column === 0 ? 0 : row * column * noise + 1e-3 * uniform()
    }
  }
  return values
}

export function relativeError(got: Float32Array, want: Float32Array): number {
  let error = 0
  let norm = 0
  for (const [index, value] of want.entries()) {
    error += ((got[index] ?? NaN) - value) ** 2
    norm += value ** 2
  }
  return Math.sqrt(error / norm)
}
