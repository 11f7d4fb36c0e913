/*
 * The forecast that needs no model: in ten minutes it will be as it was in the last five.
 */
import type { Samples } from '#federation/training/index.ts'

import { HISTORY_MINUTES, levelOf } from './level.ts'

const LAST_MINUTES = 5

/** Series 0 is the segment's speed, series 1 its density: see `prepare.ts`. */
export function persistence({ x, count }: Samples): Int32Array {
  const size = x.length / count
  return Int32Array.from({ length: count }, (_, sample) => {
    const [start, end] = [HISTORY_MINUTES - LAST_MINUTES, HISTORY_MINUTES]
    const speed = x.subarray(sample * size + start, sample * size + end)
    const density = x.subarray(sample * size + HISTORY_MINUTES + start, sample * size + HISTORY_MINUTES + end)
    return levelOf(speed, density)
  })
}
