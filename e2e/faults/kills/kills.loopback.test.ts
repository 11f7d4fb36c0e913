// A hub killed at a few points of a round, and a wrong one, at which it has to show. `make faults T=e2e/faults/kills` kills at
// two hundred, and says how long it takes.
import { expect, it } from 'vitest'
import { mutant } from '../ledger/testing/mutants.ts'
import { killAtPoints, type KillSettings } from './kills.ts'

/** A dozen starts of a process on a busy machine. */
const TIMEOUT_MS = 10 * 60_000
const settings: KillSettings = {
  ...{ seed: 'short', participants: 4, points: 4 },
  backoff: { initialMs: 20, maximumMs: 200 },
}

it(
  'a hub that is killed in a round goes on with it, and nobody trains again whose update was accepted',
  async () => {
    const points = await killAtPoints(settings)
    expect(
      points.flatMap(({ where, findings }) => findings.map((finding) => `${where}: ${finding}`)),
    ).toEqual([])
    expect(points).toHaveLength(settings.points)
    // Kills when nothing was accepted yet would show nothing.
    expect(points.some(({ accepted }) => accepted > 0)).toBe(true)
  },
  TIMEOUT_MS,
)

it(
  'a hub that acknowledges without a record is found out',
  async () => {
    // Points at which an acknowledged update waits for the merge are many, but not all; the first is enough.
    const wrong = { ...settings, participants: 6, points: 30, preloads: [mutant('forgetful')] }
    const points = await killAtPoints(wrong)
    const findings = points.flatMap((point) => point.findings)
    expect(findings).toContainEqual(expect.stringContaining('acknowledged'))
  },
  TIMEOUT_MS,
)
