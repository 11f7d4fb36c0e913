// A hub, and an edge controller, killed at a few points of a round, and wrong ones, at which it has to show. `make faults
// T=e2e/faults/kills` kills at hundreds, and says how long it takes.
import { expect, it } from 'vitest'
import { mutant } from '../ledger/testing/mutants.ts'
import type { KillSettings } from './kill-settings.ts'
import { killAtPoints } from './kills.ts'

/** A dozen starts of a process on a busy machine. */
const TIMEOUT_MS = 10 * 60_000
const settings: KillSettings = {
  ...{ seed: 'short', participants: 4, controllers: 0, victim: 'hub', points: 4 },
  backoff: { initialMs: 20, maximumMs: 200 },
}

const controller = { controllers: 2, victim: 'controller' } as const

it.each<{ name: string; victim: Partial<KillSettings> }>([
  { name: 'a hub', victim: {} },
  { name: 'an edge controller', victim: controller },
])(
  '$name that is killed in a round goes on with it, and nobody trains again whose update was accepted',
  async ({ victim }) => {
    const points = await killAtPoints({ ...settings, ...victim })
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

it(
  'an edge controller that starts again without what lies on its disk is found out',
  async () => {
    const points = await killAtPoints({
      ...settings,
      ...controller,
      points: 30,
      preloads: [mutant('amnesiac')],
    })
    const findings = points.flatMap((point) => point.findings)
    expect(findings).toContainEqual(expect.stringContaining('told to train again'))
  },
  TIMEOUT_MS,
)
