// Working memory of a merge: how long a slice may be so that all buffers together stay within a limit, whatever the
// number of updates. Cutting elsewhere changes no bit of the result.
import { GRAM_BLOCK } from './kernels.ts'
import type { Combination, Combinations } from './strategy.ts'

/**
 * Updates that are read before their weighted sum is taken. Together with this length of a slice it was the fastest way through
 * files: fewer and longer reads cost less than what they push out of the second-level cache.
 */
export const UPDATES_PER_PASS = 5

const LONGEST_SLICE = 128 * 1024
const SHORTEST_SLICE = 64
const FLOAT32 = Float32Array.BYTES_PER_ELEMENT
const FLOAT64 = Float64Array.BYTES_PER_ELEMENT

export interface Slice {
  readonly start: number
  readonly length: number
}

export function* slicesOf(start: number, end: number, longest: number): Generator<Slice> {
  for (let at = start; at < end; at += longest) yield { start: at, length: Math.min(longest, end - at) }
}

/** Updates whose slices are in memory at the same time. */
export function updatesInMemory(combination: Combination): number {
  return combination.how === 'WeightedSum' ? UPDATES_PER_PASS : combination.members.length
}

/** What there is to cut, and what there is to cut it in. */
export interface Budget {
  /** Values of the vectors that are cut. */
  readonly length: number
  readonly memoryBytes: number
}

/**
 * Longest slice of the pass that combines. Half of the memory, or as much as the pass before took, is for the updates' slices; the
 * rest for aggregates, base, new parameters and server state.
 * @param taken bytes of the buffer that the pass before took and that serves again
 */
export function combiningSlice(
  combinations: Combinations,
  stateVectors: number,
  { length, memoryBytes, taken }: Budget & { readonly taken: number },
): number {
  const all = [combinations.trainable, combinations.running, ...combinations.sections]
  const updates = Math.max(...all.map(updatesInMemory))
  const aggregates = 1 + combinations.sections.length
  const others = aggregates * FLOAT64 + (3 + stateVectors) * FLOAT32
  const rows = Math.max(memoryBytes / 2, taken)
  return Math.min(
    within(updates * FLOAT32, { length, memoryBytes: rows }),
    within(others, { length, memoryBytes: memoryBytes - rows }),
  )
}

/** What strategies keep for every pair of updates: an inner product, a distance, and one more in order. */
export function pairsBytes(updates: number): number {
  return updates ** 2 * 3 * FLOAT64
}

/** Longest slice of the pass that takes inner products: a multiple of GRAM_BLOCK, unless one slice takes all. */
export function measuringSlice(updates: number, budget: Budget): number {
  const { length, memoryBytes } = budget
  const affordable = within(updates * FLOAT32, { length, memoryBytes: memoryBytes / 2 })
  if (affordable >= length) return affordable
  return Math.max(1, Math.floor(affordable / GRAM_BLOCK)) * GRAM_BLOCK
}

function within(bytesPerValue: number, { length, memoryBytes }: Budget): number {
  const affordable = Math.floor(memoryBytes / bytesPerValue)
  return Math.max(1, Math.min(length, LONGEST_SLICE, Math.max(SHORTEST_SLICE, affordable)))
}
