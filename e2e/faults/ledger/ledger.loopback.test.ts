// Short storms over a right hub and a right tree, in which everything has to hold, and shorter ones over wrong ones, in each of which
// the oracle has to notice. `make faults T=e2e/faults/ledger` rages longer.
import { describe, expect, it } from 'vitest'
import type { StormResult } from './counts.ts'
import { storm } from './storm.ts'
import { mutant, type CONTROLLER_MUTANTS, type HUB_MUTANTS } from './testing/mutants.ts'

/** A dozen starts of a process on a busy machine. */
const TIMEOUT_MS = 10 * 60_000

function kindsOf({ findings }: StormResult): string[] {
  return findings.map(({ finding }) => (typeof finding === 'string' ? finding : finding.kind))
}

describe('a storm over a hub', () => {
  it(
    'loses no acknowledged update, counts none twice, and leaves exact sums',
    async () => {
      const settings = { participants: 20, controllers: 0, rounds: 2, killsPerRound: 1 }
      const { findings, counts } = await storm({ seed: 'short', ...settings })
      expect(findings).toEqual([])
      expect(counts.rounds).toBe(2)
      // A storm in which nothing happened shows nothing.
      const { acknowledged, refused, hubKills, resets, mutes } = counts
      expect(Math.min(acknowledged, refused, hubKills, resets, mutes)).toBeGreaterThan(0)
    },
    TIMEOUT_MS,
  )

  it.each<[keyof typeof HUB_MUTANTS, readonly string[]]>([
    ['forgetful', ['lost']],
    // Two of n + 1 updates, where n were committed, come nearer to a count of 2 the more of them there are.
    ['repetitive', ['payload', 'twice']],
    ['agreeable', ['otherBytes']],
    ['hospitable', ['lost']],
  ])(
    'shows that a %s hub is wrong (%s)',
    async (name, kinds) => {
      const settings = { participants: 20, controllers: 0, rounds: 2, killsPerRound: 0 }
      const result = await storm({ seed: name, ...settings, preloads: { hub: [mutant(name)] } })
      expect(kinds).toContain(kindsOf(result)[0])
    },
    TIMEOUT_MS,
  )
})

describe('a storm over a hub and edge controllers', () => {
  it(
    'loses no acknowledged update, counts none twice, and leaves exact sums',
    async () => {
      const settings = { participants: 12, controllers: 2, rounds: 1, killsPerRound: 1 }
      const { findings, counts } = await storm({ seed: 'short tree', ...settings })
      expect(findings).toEqual([])
      const { acknowledged, throughControllers, hubKills, controllerKills } = counts
      expect(Math.min(acknowledged, throughControllers, hubKills, controllerKills)).toBeGreaterThan(0)
    },
    TIMEOUT_MS,
  )

  it.each<[keyof typeof CONTROLLER_MUTANTS, string]>([['careless', 'twice']])(
    'shows that a %s edge controller is wrong (%s)',
    async (name, kind) => {
      // Whose update counts by two ways is a matter of moments: a few rounds have one.
      const settings = { participants: 30, controllers: 1, rounds: 6, killsPerRound: 0 }
      const result = await storm({ seed: name, ...settings, preloads: { controller: [mutant(name)] } })
      expect(kindsOf(result)).toContain(kind)
    },
    TIMEOUT_MS,
  )
})
