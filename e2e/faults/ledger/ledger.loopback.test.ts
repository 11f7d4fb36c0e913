// A short storm over the right hub, in which everything has to hold, and shorter ones over wrong hubs, in each of which the
// oracle has to notice. `make faults T=e2e/faults/ledger` rages longer.
import { describe, expect, it } from 'vitest'
import { storm } from './storm.ts'
import { hubMutant, type HUB_MUTANTS } from './testing/hub-mutants.ts'

/** A dozen starts of a process on a busy machine. */
const TIMEOUT_MS = 10 * 60_000

describe('a storm over a hub', () => {
  it(
    'loses no acknowledged update, counts none twice, and leaves exact sums',
    async () => {
      const { findings, counts } = await storm({
        seed: 'short',
        participants: 20,
        rounds: 2,
        killsPerRound: 1,
      })
      expect(findings).toEqual([])
      expect(counts.rounds).toBe(2)
      // A storm in which nothing happened shows nothing.
      expect(
        Math.min(counts.acknowledged, counts.refused, counts.kills, counts.resets, counts.mutes),
      ).toBeGreaterThan(0)
    },
    TIMEOUT_MS,
  )

  it.each<[keyof typeof HUB_MUTANTS, string]>([
    ['forgetful', 'lost'],
    ['repetitive', 'payload'],
    ['agreeable', 'otherBytes'],
    ['hospitable', 'lost'],
  ])(
    'shows that a %s hub is wrong (%s)',
    async (mutant, kind) => {
      const preloads = [hubMutant(mutant)]
      const { findings } = await storm({
        seed: mutant,
        participants: 20,
        rounds: 2,
        killsPerRound: 0,
        preloads,
      })
      const kinds = findings.map(({ finding }) => (typeof finding === 'string' ? finding : finding.kind))
      expect(kinds).toContain(kind)
    },
    TIMEOUT_MS,
  )
})
