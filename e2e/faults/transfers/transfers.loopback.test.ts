// A short form of what `make faults T=e2e/faults/transfers` does with 100 MiB.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { Transfers } from './transfers.ts'

const MIB = 1024 * 1024
const SIZE = 20 * MIB
const SLOW = 120_000

let transfers: Transfers
beforeAll(async () => {
  transfers = await Transfers.open(SIZE)
}, SLOW)
afterAll(async () => transfers.close())

describe('20 MiB over a link that is cut every 5 MiB', () => {
  it.each(['up', 'down'] as const)(
    'arrive, with at most a twentieth sent again (%s)',
    async (direction) => {
      const outcome = await transfers[direction]({ cutEvery: { direction, bytes: 5 * MIB } })
      expect(outcome.intact).toBe(true)
      expect(outcome.cuts).toBeGreaterThanOrEqual(4)
      expect(outcome.crossed).toBeGreaterThan(SIZE)
      expect(outcome.crossed).toBeLessThanOrEqual(SIZE * 1.05)
    },
    SLOW,
  )
})
