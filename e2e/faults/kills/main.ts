/*
 * `make faults T=e2e/faults/kills`: 200 points at which the hub is killed; `--points N` and `--seed S` take others. Pods wait
 * between their attempts as real ones do, which is part of how long a round takes to go on.
 */
import { parseArgs } from 'node:util'
import { row } from '#bench/rows.ts'
import { RECONNECT_BACKOFF } from '#federation/wire/backoff.ts'
import { reportFragment } from '../fragment.ts'
import { killAtPoints } from './kills.ts'
import type { Point } from './point.ts'

const { values } = parseArgs({
  strict: false,
  options: { points: { type: 'string', default: '200' }, seed: { type: 'string', default: 'kills' } },
})
const PARTICIPANTS = 8

/** Campaigns, each with a hub of its own: most of a kill is waiting. */
const AT_ONCE = 5

const each = Math.ceil(Number(values.points) / AT_ONCE)
const campaigns = Array.from({ length: AT_ONCE }, async (_, lane) => {
  const seed = `${String(values.seed)} ${lane}`
  const settings = { seed, participants: PARTICIPANTS, points: each, backoff: RECONNECT_BACKOFF }
  return killAtPoints(settings, (point) => say(seed, point))
})
const points = (await Promise.all(campaigns)).flat()

function say(seed: string, { round, where, phase, accepted, resumedMs, endedMs, findings }: Point): void {
  const times = `goes on after ${seconds(resumedMs)} s, ends after ${seconds(endedMs)} s`
  process.stdout.write(
    `${seed}, round ${round}: killed ${where} (${phase}, ${accepted} accepted): ${times}\n`,
  )
  for (const finding of findings) process.stdout.write(`  ${finding}\n`)
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}

const findings = points.flatMap((point) => point.findings)
const retrained = findings.filter((finding) => finding.includes('train again')).length
const phases = Object.entries(Object.groupBy(points, ({ phase }) => phase))
  .map(([phase, own]) => `${own?.length ?? 0} ${phase}`)
  .join(', ')
const slowest = Math.max(...points.map(({ resumedMs }) => resumedMs))
const slowestEnd = Math.max(...points.map(({ endedMs }) => endedMs))
const accepted = points.reduce((sum, point) => sum + point.accepted, 0)

reportFragment({
  about: [
    `Hubs, processes of their own, are killed once in every round of their campaigns of ${PARTICIPANTS} participants: in every other one before or`,
    'after an operation on the disk that chance chooses among all of the round, else at a random time of it. Participants and',
    'their streams are the edge agent’s own, with its waiting times. A hub is started again at once; its round has to go on and',
    'to end with all updates, nobody may be told to train whose update was on record when the hub died, and the merged sum is',
    'held against the acknowledgements as in e2e/faults/ledger.',
  ].join(' '),
  rows: [
    row({
      name: 'points of a round at which the hub was killed',
      ...{ value: points.length, goal: 200, unit: 'points', note: phases },
    }),
    row({
      name: 'longest time from the hub being back to the next step of its round',
      ...{ value: slowest / 1000, goal: 10, unit: 's', direction: 'atMost' },
      note: `to the end of the round at most ${seconds(slowestEnd)} s`,
    }),
    row({
      name: 'accepted updates that were trained again',
      ...{ value: retrained, goal: 0, unit: 'updates', direction: 'atMost' },
      note: `${accepted} were accepted when the hub was killed`,
    }),
    row({
      name: 'updates lost or counted twice, and sums that are not exact',
      ...{ value: findings.length - retrained, goal: 0, unit: 'findings', direction: 'atMost' },
    }),
  ],
})
