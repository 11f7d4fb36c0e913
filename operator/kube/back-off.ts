// Exponential back-off with jitter: half of the delay is fixed, half is drawn, so that many who failed together do
// not come back together.

import type { Random } from './types.ts'

export interface BackOff {
  minMs: number
  maxMs: number
}

/** The delay after this many failures in a row, the first being 1. */
export function backOffMs({ minMs, maxMs }: BackOff, failures: number, random: Random): number {
  const full = Math.min(maxMs, minMs * 2 ** Math.min(Math.max(failures - 1, 0), 30))
  return full / 2 + (full / 2) * random()
}
