/*
 * The whole storm: `make faults T=e2e/faults/ledger`. 100 seeds, each with a tree of its own; `--seeds N` and `--first N` run
 * others, `--controllers N` with so many edge controllers, 0 for a hub alone. What was found is printed with its seed.
 */
import { parseArgs } from 'node:util'
import { row } from '#bench/rows.ts'
import { reportFragment } from '../fragment.ts'
import { NOTHING, type StormCounts, type StormResult, type StormSettings } from './counts.ts'
import { storm } from './storm.ts'

const PARTICIPANTS = 50
const ROUNDS = 2
const KILLS_PER_ROUND = 1
/** Most of a storm is waiting. */
const AT_ONCE = 3

const { values } = parseArgs({
  strict: false,
  options: {
    seeds: { type: 'string', default: '100' },
    first: { type: 'string', default: '1' },
    controllers: { type: 'string', default: '5' },
  },
})
const controllers = Number(values.controllers)
const seeds = Array.from(
  { length: Number(values.seeds) },
  (_, index) => `seed ${Number(values.first) + index}`,
)

const begun = Date.now()
const results = new Map<string, StormResult>()
await Promise.all(Array.from({ length: AT_ONCE }, work))

async function work(): Promise<void> {
  for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
    const shared = { participants: PARTICIPANTS, rounds: ROUNDS, killsPerRound: KILLS_PER_ROUND }
    const result = await stormOf({ seed, controllers, ...shared })
    results.set(seed, result)
    const { acknowledged, hubKills, controllerKills, replacements, connections } = result.counts
    const kills = `${hubKills} + ${controllerKills} kills, ${replacements} replaced`
    process.stdout.write(
      `${seed}: ${acknowledged} acknowledged, ${kills}, ${connections} connections, ${result.findings.length} findings\n`,
    )
    for (const finding of result.findings) process.stdout.write(`  ${JSON.stringify(finding)}\n`)
  }
}

/** A storm that cannot be told to its end is a finding too. */
async function stormOf(settings: StormSettings): Promise<StormResult> {
  try {
    return await storm(settings)
  } catch (error) {
    const finding = `the storm broke off: ${error instanceof Error ? error.message : String(error)}`
    return { findings: [{ round: 0, finding }], counts: NOTHING }
  }
}

const minutes = (Date.now() - begun) / 60_000
const all = [...results.values()]
const found = all.flatMap(({ findings }) => findings.map(({ finding }) => finding))
const ofKind = (kind: string): number =>
  found.filter((finding) => typeof finding !== 'string' && finding.kind === kind).length
const lost = ofKind('lost')
const twice = ofKind('twice')
const total = (name: keyof StormCounts): number => all.reduce((sum, { counts }) => sum + counts[name], 0)

reportFragment({
  about: [
    `${PARTICIPANTS} participants submit vectors with a 1 at the place of each, and integers, in ${ROUNDS} rounds a seed, below`,
    `${controllers} edge controllers and a hub. They go to the parent that the edge agent’s own code chooses, keep their update and bring`,
    'it again where another parent asks; besides, they send twice at once, again, other bytes, to the hub past their controller, after',
    'the merge, or give up. Their links, and those from controllers to the hub, reset connections, hold them back, slow them, and cut',
    'them before the answer arrives. Every tier is a process of its own: the hub is killed without warning at random moments, at the',
    'first word of a delivery and at the commit, controllers at random moments, at the first acknowledgement and when their sum is',
    'ready; in every other round one is replaced by a later epoch on an empty folder, while the one before it is gone with its disk,',
    'still runs, or comes back with all that it had. The unnormalised sum at the hub must be 1 where an acknowledgement was seen of',
    'whichever tier, 0 where nothing was sent or the hub refused it for good, 0 or 1 in between, and its integers those of exactly',
    'the updates that count. Of nodes that sent two different updates, against the rules, one counts; which one, the hub’s',
    'acknowledgement says. Controllers that were replaced must have ended. The reading of "10,000 updates" is over all seeds.',
  ].join(' '),
  rows: [
    row({
      name: `updates that were sent into the storm, ${PARTICIPANTS} participants, ${controllers} edge controllers`,
      ...{ value: total('updates'), goal: 10_000, unit: 'updates' },
      note: [
        `${results.size} seeds, ${total('rounds')} rounds, ${total('acknowledged')} acknowledged, ${total('refused')} refused;`,
        `the hub was killed ${total('hubKills')} times, controllers ${total('controllerKills')} times, and ${total('replacements')} were replaced;`,
        `${total('throughControllers')} updates count within the sum of a controller;`,
        `${total('connections')} connections, of which ${total('resets')} were reset, ${total('mutes')} lost their answers,`,
        `${total('holds')} were held back and ${total('delays')} slowed; ${total('unanswered')} sent without an acknowledgement,`,
        `of which ${total('unansweredCounted')} count; ${minutes.toFixed(1)} min`,
      ].join(' '),
    }),
    row({ name: 'seeds', value: results.size, goal: 100, unit: 'seeds' }),
    row({
      name: 'acknowledged updates that were lost',
      ...{ value: lost, goal: 0, unit: 'updates', direction: 'atMost' },
    }),
    row({
      name: 'updates that counted twice',
      ...{ value: twice, goal: 0, unit: 'updates', direction: 'atMost' },
    }),
    row({
      name: 'sums that are not exact, and answers that may not be',
      ...{ value: found.length - lost - twice, goal: 0, unit: 'findings', direction: 'atMost' },
      note: 'other bytes refused with both digests; the record of the commit agrees with the sum; every storm ended',
    }),
  ],
})
