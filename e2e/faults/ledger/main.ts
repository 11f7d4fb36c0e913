/*
 * The whole storm: `make faults T=e2e/faults/ledger`. 100 seeds, each with a hub of its own; `--seeds N` and `--first N` run
 * others. Exits as the collector wants; what was found is printed with its seed.
 */
import { parseArgs } from 'node:util'
import { row } from '#bench/rows.ts'
import { reportFragment } from '../fragment.ts'
import { storm, type StormCounts, type StormResult } from './storm.ts'

const PARTICIPANTS = 50
const ROUNDS = 2
const KILLS_PER_ROUND = 1
/** Most of a storm is waiting. */
const AT_ONCE = 2

const { values } = parseArgs({
  strict: false,
  options: { seeds: { type: 'string', default: '100' }, first: { type: 'string', default: '1' } },
})
const seeds = Array.from(
  { length: Number(values.seeds) },
  (_, index) => `seed ${Number(values.first) + index}`,
)

const begun = Date.now()
const results = new Map<string, StormResult>()
await Promise.all(Array.from({ length: AT_ONCE }, work))

async function work(): Promise<void> {
  for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
    const settings = { seed, participants: PARTICIPANTS, rounds: ROUNDS, killsPerRound: KILLS_PER_ROUND }
    const result = await storm(settings)
    results.set(seed, result)
    const { acknowledged, kills, connections } = result.counts
    process.stdout.write(
      `${seed}: ${acknowledged} acknowledged, ${kills} kills, ${connections} connections, ${result.findings.length} findings\n`,
    )
    for (const finding of result.findings) process.stdout.write(`  ${JSON.stringify(finding)}\n`)
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
    `${PARTICIPANTS} participants submit vectors with a 1 at the place of each, and integers, in ${ROUNDS} rounds a seed, through a`,
    'link on which connections are reset, held back, slowed, and cut before the answer arrives; they send twice at once, again,',
    'other bytes, after the merge, or give up. The hub, a process of its own, is killed without warning at random moments, at the',
    'first acknowledgement and at the commit. The unnormalised sum of each round must be 1 where an acknowledgement was seen, 0',
    'where nothing was sent or it was refused for good, 0 or 1 in between, and its integers those of exactly the updates that',
    'count. The reading of "10,000 updates" is over all seeds. The tree is flat: no edge controllers.',
  ].join(' '),
  rows: [
    row({
      name: 'updates that were sent into the storm, 50 participants',
      ...{ value: total('updates'), goal: 10_000, unit: 'updates' },
      note: [
        `${results.size} seeds, ${total('rounds')} rounds, ${total('acknowledged')} acknowledged, ${total('refused')} refused, ${total('kills')} kills;`,
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
      note: 'other bytes refused with both digests; the record of the commit agrees with the sum',
    }),
  ],
})
