/*
 * `make faults T=e2e/faults/kills`: 200 points at which a hub is killed, of a campaign without zones and of one in zones, and 100 at
 * which an edge controller is; `--points N` and `--seed S` take others. Pods and controllers wait between their attempts as real
 * ones do, which is part of how long a round takes to go on.
 */
import { parseArgs } from 'node:util'
import { row, type Row } from '#bench/rows.ts'
import { RECONNECT_BACKOFF } from '#federation/wire/backoff.ts'
import { reportFragment } from '../fragment.ts'
import type { KillSettings } from './kill-settings.ts'
import { killAtPoints } from './kills.ts'
import type { Point } from './point.ts'

const { values } = parseArgs({
  strict: false,
  options: { points: { type: 'string', default: '200' }, seed: { type: 'string', default: 'kills' } },
})
const PARTICIPANTS = 8
const CONTROLLERS = 2

/** Campaigns, each with a tree of its own: most of a kill is waiting. */
const LANES: readonly Pick<KillSettings, 'victim' | 'controllers'>[] = [
  ...Array.from({ length: 2 }, () => ({ victim: 'hub', controllers: 0 }) as const),
  ...Array.from({ length: 2 }, () => ({ victim: 'hub', controllers: CONTROLLERS }) as const),
  ...Array.from({ length: 2 }, () => ({ victim: 'controller', controllers: CONTROLLERS }) as const),
]
const LANES_OF_HUBS = LANES.filter(({ victim }) => victim === 'hub').length

const each = Math.ceil(Number(values.points) / LANES_OF_HUBS)
const campaigns = LANES.map(async (lane, index) => {
  const seed = `${String(values.seed)} ${index}`
  const settings = { seed, participants: PARTICIPANTS, points: each, backoff: RECONNECT_BACKOFF, ...lane }
  const points = await killAtPoints(settings, (point) => say(`${seed}, ${lane.victim}`, point))
  return { ...lane, points }
})
const killed = await Promise.all(campaigns)
const ofHubs = killed.filter(({ victim }) => victim === 'hub').flatMap(({ points }) => points)
const ofControllers = killed.filter(({ victim }) => victim === 'controller').flatMap(({ points }) => points)

function say(lane: string, { round, where, phase, accepted, resumedMs, endedMs, findings }: Point): void {
  const times = `goes on after ${seconds(resumedMs)} s, ends after ${seconds(endedMs)} s`
  process.stdout.write(
    `${lane}, round ${round}: killed ${where} (${phase}, ${accepted} accepted): ${times}\n`,
  )
  for (const finding of findings) process.stdout.write(`  ${finding}\n`)
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}

function phasesOf(points: readonly Point[]): string {
  const groups = Object.entries(Object.groupBy(points, ({ phase }) => phase))
  return groups.map(([phase, own]) => `${own?.length ?? 0} ${phase}`).join(', ')
}

function resumption(points: readonly Point[], name: string): Row {
  const slowest = Math.max(...points.map(({ resumedMs }) => resumedMs))
  const slowestEnd = Math.max(...points.map(({ endedMs }) => endedMs))
  return row({
    ...{ name, value: slowest / 1000, goal: 10, unit: 's', direction: 'atMost' },
    note: `to the end of the round at most ${seconds(slowestEnd)} s`,
  })
}

const findings = [...ofHubs, ...ofControllers].flatMap((point) => point.findings)
const retrained = findings.filter((finding) => finding.includes('train again')).length
const accepted = [...ofHubs, ...ofControllers].reduce((sum, point) => sum + point.accepted, 0)

reportFragment({
  about: [
    'Hubs and edge controllers, processes of their own, are killed once in every round of their campaigns of',
    `${PARTICIPANTS} participants, half of the hubs above ${CONTROLLERS} controllers: in every other one before or`,
    'after an operation on the disk that chance chooses among all of the round, else at a random time of it. Participants and',
    'their streams are the edge agent’s own, with its waiting times; after ten kills in a row all streams are left alone for the 10 s after which they count as good. Who was killed is started again at once; its round has to go on and',
    'to end with all updates, nobody may be told to train whose update was on record when it died, and the merged sum is',
    'held against the acknowledgements as in e2e/faults/ledger. The next step of a controller’s round is the arrival of its zone’s sum,',
    'or, if that was there, the next of the whole campaign.',
  ].join(' '),
  rows: [
    row({
      name: 'points of a round at which the hub was killed',
      ...{ value: ofHubs.length, goal: 200, unit: 'points', note: phasesOf(ofHubs) },
    }),
    row({
      name: 'points of a round at which an edge controller was killed',
      ...{ value: ofControllers.length, goal: 100, unit: 'points', note: phasesOf(ofControllers) },
    }),
    resumption(ofHubs, 'longest time from the hub being back to the next step of its round'),
    resumption(
      ofControllers,
      'longest time from an edge controller being back to the next step of its round',
    ),
    row({
      name: 'accepted updates that were trained again',
      ...{ value: retrained, goal: 0, unit: 'updates', direction: 'atMost' },
      note: `${accepted} were accepted when the hub or the controller was killed`,
    }),
    row({
      name: 'updates lost or counted twice, and sums that are not exact',
      ...{ value: findings.length - retrained, goal: 0, unit: 'findings', direction: 'atMost' },
    }),
  ],
})
