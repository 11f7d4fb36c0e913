// The kernels in plain TypeScript: they run everywhere, and say in code what another implementation must compute.
import { runElementwise } from './elementwise.ts'
import {
  GRAM_BLOCK,
  GRAM_LANES,
  medianRange,
  sumOfLanes,
  type Kernels,
  type SortedRange,
  type WeightedMean,
} from './kernels.ts'

export const referenceKernels: Kernels = {
  accumulate,
  addGram,
  sortedMean,
  meanAroundMedian,
  addSquares,
  runElementwise,
  addMean,
}

function accumulate(sums: Float64Array, updates: readonly Float32Array[], weights: Float64Array): void {
  for (const [k, values] of updates.entries()) {
    const weight = weights[k] as number
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + weight * (values[i] as number)
  }
}

function addGram(gram: Float64Array, updates: readonly Float32Array[]): void {
  const n = updates.length
  const length = updates[0]?.length ?? 0
  for (let start = 0; start < length; start += GRAM_BLOCK) {
    const blocks = updates.map((update) => update.subarray(start, Math.min(start + GRAM_BLOCK, length)))
    for (let k = 0; k < n; k++) {
      for (let l = 0; l <= k; l++) {
        const sum =
          (gram[k * n + l] as number) + blockProduct(blocks[k] as Float32Array, blocks[l] as Float32Array)
        gram[k * n + l] = sum
        gram[l * n + k] = sum
      }
    }
  }
}

const lanes = new Float64Array(GRAM_LANES)

function blockProduct(a: Float32Array, b: Float32Array): number {
  lanes.fill(0)
  for (let i = 0; i < a.length; i++) {
    const lane = i % GRAM_LANES
    lanes[lane] = (lanes[lane] as number) + (a[i] as number) * (b[i] as number)
  }
  return sumOfLanes(lanes)
}

function sortedMean(out: Float32Array, updates: readonly Float32Array[], { lo, hi }: SortedRange): void {
  forEachSorted(updates, out.length, (sorted, i) => {
    out[i] = meanOf(sorted, lo, hi)
  })
}

function meanAroundMedian(out: Float32Array, updates: readonly Float32Array[], count: number): void {
  const middle = medianRange(updates.length)
  forEachSorted(updates, out.length, (sorted, i) => {
    const median = meanOf(sorted, middle.lo, middle.hi)
    let lo = 0
    let hi = sorted.length
    while (hi - lo > count) {
      if (median - (sorted[lo] as number) > (sorted[hi - 1] as number) - median) lo++
      else hi--
    }
    out[i] = meanOf(sorted, lo, hi)
  })
}

/** The mean as float64. */
function meanOf(sorted: Float32Array, lo: number, hi: number): number {
  let sum = 0
  for (let at = lo; at < hi; at++) sum += sorted[at] as number
  return sum / (hi - lo)
}

/** Calls `use` with the sorted values of each coordinate. The array is reused. */
function forEachSorted(
  updates: readonly Float32Array[],
  length: number,
  use: (sorted: Float32Array, coordinate: number) => void,
): void {
  const sorted = new Float32Array(updates.length)
  for (let i = 0; i < length; i++) {
    for (let k = 0; k < updates.length; k++) sorted[k] = (updates[k] as Float32Array)[i] as number
    use(sorted.sort(), i)
  }
}

function addSquares(sums: Float64Array, bytes: Uint8Array, position: number): void {
  const values = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0, i = position; at < bytes.length; at += Float32Array.BYTES_PER_ELEMENT, i++) {
    const value = values.getFloat32(at, true)
    sums[i % GRAM_LANES] = (sums[i % GRAM_LANES] as number) + value * value
  }
}

function addMean(out: Float32Array, base: Float32Array, { sums, divisor }: WeightedMean): void {
  for (let i = 0; i < out.length; i++) out[i] = (base[i] as number) + (sums[i] as number) / divisor
}
