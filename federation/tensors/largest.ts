// Which values of a vector are the largest in magnitude, group by group, without sorting: the bits of magnitudes order as the
// magnitudes do, so a histogram of their upper half and one of the lower half find the threshold exactly.
import type { Layout } from './layout.ts'

const HALF = 1 << 16

/**
 * Positions, ascending, of the `fraction` of each group's values (rounded up, at least 1) that are largest in
 * magnitude; of equal ones the first. Values that are 0 are never among them, nor those of EXACT tensors.
 */
export function largest(values: Float32Array, layout: Layout, fraction: number): Uint32Array {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length)
  const positions: Uint32Array[] = []
  for (let group = 0; group < layout.groups; group++) {
    const matrices = layout.matrices.filter((matrix) => matrix.group === group)
    const length = matrices.reduce((sum, matrix) => sum + matrix.length, 0)
    positions.push(largestOf(bits, matrices, Math.max(1, Math.ceil(length * fraction))))
  }
  const all = new Uint32Array(positions.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of positions) {
    all.set(part, at)
    at += part.length
  }
  return all.sort()
}

function largestOf(bits: Int32Array, matrices: Layout['matrices'], count: number): Uint32Array {
  const upper = threshold(bits, matrices, { wanted: count, keyOf: (size) => size >>> 16 })
  const lower = threshold(bits, matrices, {
    wanted: count - upper.above,
    keyOf: (size) => (size >>> 16 === upper.key ? size & (HALF - 1) : -1),
  })
  const limit = upper.key * HALF + lower.key
  let equal = count - upper.above - lower.above
  const found: number[] = []
  for (const { offset, length } of matrices) {
    for (let i = offset; i < offset + length; i++) {
      const size = (bits[i] as number) & 0x7fff_ffff
      if (size === 0 || size < limit || (size === limit && equal-- <= 0)) continue
      found.push(i)
    }
  }
  return Uint32Array.from(found)
}

interface Threshold {
  readonly wanted: number
  /** The part of a magnitude's bits that is looked at; -1 when it does not count. */
  readonly keyOf: (size: number) => number
}

/** The largest key such that at least `wanted` magnitudes have it or a larger one, and how many have a larger one. */
function threshold(
  bits: Int32Array,
  matrices: Layout['matrices'],
  { wanted, keyOf }: Threshold,
): { key: number; above: number } {
  const histogram = new Uint32Array(HALF)
  for (const { offset, length } of matrices) {
    for (let i = offset; i < offset + length; i++) {
      const key = keyOf((bits[i] as number) & 0x7fff_ffff)
      if (key >= 0) histogram[key] = (histogram[key] as number) + 1
    }
  }
  let above = 0
  for (let key = HALF - 1; key > 0; key--) {
    const own = histogram[key] as number
    if (above + own >= wanted) return { key, above }
    above += own
  }
  return { key: 0, above }
}
