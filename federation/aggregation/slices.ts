// Working memory of a merge: how long a slice may be so that all buffers together stay within a limit, whatever the
// number of updates. Cutting elsewhere changes no bit of the result.
import { GRAM_BLOCK } from './kernels.ts'
import type { Combination, Combinations } from './strategy.ts'

/** Updates that are read before their weighted sum is taken. */
export const UPDATES_PER_PASS = 8

const LONGEST_SLICE = 64 * 1024
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

/** Longest slice of the pass that combines: buffers for updates, aggregates, base, new parameters and server state. */
export function combiningSlice(combinations: Combinations, stateVectors: number, budget: Budget): number {
  const all = [combinations.trainable, combinations.running, ...combinations.sections]
  const updates = Math.max(...all.map(updatesInMemory))
  const aggregates = 1 + combinations.sections.length
  return within(updates * FLOAT32 + aggregates * FLOAT64 + (3 + stateVectors) * FLOAT32, budget)
}

/** Longest slice of the pass that takes inner products: a multiple of GRAM_BLOCK, unless one slice takes all. */
export function measuringSlice(updates: number, budget: Budget): number {
  const affordable = within(updates * FLOAT32, budget)
  if (affordable >= budget.length) return affordable
  return Math.max(1, Math.floor(affordable / GRAM_BLOCK)) * GRAM_BLOCK
}

function within(bytesPerValue: number, { length, memoryBytes }: Budget): number {
  const affordable = Math.floor(memoryBytes / bytesPerValue)
  return Math.max(1, Math.min(length, LONGEST_SLICE, Math.max(SHORTEST_SLICE, affordable)))
}
