/*
 * Breaks one thing at a time between the operator and the API server (and the hub), for everything that a golden run of
 * each scenario did, and judges what the world looks like afterwards.
 *
 *   node e2e/faults/reconcilers/main.ts [--out FILE]
 *     --family NAME  only plans of crash, apiError, watch, staleRead or hub
 *     --plans N      only N of them, evenly from every family (all unless told)
 *     --seed N       which (1)
 *     --lanes N      so many at a time (4)
 *     --only TEXT    those whose line contains TEXT, such as one that failed
 *     --list         only prints them
 */
import { parseArgs } from 'node:util'
import { row } from '#bench/rows.ts'
import type { Row } from '#bench/rows.ts'
import { reportFragment } from '../fragment.ts'
import { openLaboratory } from './laboratory.ts'
import { familyOf, inWords, selection, shuffle } from './plan.ts'
import type { Family, Plan } from './plan.ts'
import { allPlans, learn, runPlans } from './run.ts'
import type { Verdict } from './run.ts'
import { SCENARIOS } from './scenarios.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    family: { type: 'string' },
    plans: { type: 'string' },
    seed: { type: 'string', default: '1' },
    lanes: { type: 'string', default: '4' },
    only: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
})

/** Wide: on a machine that does other things, too, a slow answer is not a wrong one. */
const PATIENCE = { patienceMs: 60_000, requestTimeoutMs: 2_500 }

const ABOUT = [
  'After Sieve’s method. Ten scenarios are played twice without a fault against a real etcd and kube-apiserver, with a',
  'fault proxy in between and a scripted hub; pods are bound, started and ended by a kubelet that the test plays. What both',
  'runs did is the golden trace. Then each plan makes one thing of it go wrong: the operator dies before or after a write',
  'or a call to the hub; a write’s answer is lost, or is 409, 429, 500, a reset, or silence; an event is lost with what follows (and the',
  'version then too old), comes twice or late; a read, or the lists of an operator started again, show the past. A plan is good',
  'when at every checkpoint all objects, the hub’s data, and the numbers of objects made and removed and of rounds opened are',
  'the golden ones; when no write follows although everything is looked at again; and when it held all along that a',
  'status is written over what it was derived from, a pod deleted by UID, no plan given to the hub before the finalizer is set and the status says so, no edge controller created before the status tells of its epoch, and the finalizer',
  'removed after the hub’s data and the pods. The operator’s death is the end of all its connections, in one process; its delays pass',
  '20 times faster than by the clock.',
].join(' ')

const laboratory = await openLaboratory(Number(values.lanes))
try {
  await campaign()
} finally {
  await laboratory.stop()
}
// Node.js frees what is left of thousands of cut connections when it ends by itself, and was seen to wait there for ever, in
// node::Environment::CleanupHandles; an explicit exit frees nothing. It may go when a whole run ends without it.
process.exit()

async function campaign(): Promise<void> {
  const startedAt = performance.now()
  const golden = await learn(
    laboratory,
    SCENARIOS.map(({ name }) => name),
    PATIENCE,
  )
  const plans = chosen(allPlans(golden))
  process.stdout.write(`${plans.length} plans over ${golden.length} scenarios\n`)
  if (values.list) {
    for (const plan of plans) process.stdout.write(`${familyOf(plan)}  ${inWords(plan)}\n`)
    return
  }
  let done = 0
  const verdicts = await runPlans(plans, {
    ...{ laboratory, golden, ...PATIENCE },
    onVerdict: (verdict) => {
      done += 1
      const { plan, failure, hit, ms } = verdict
      if (failure !== undefined) process.stdout.write(`FAILED ${inWords(plan)} (${ms} ms): ${failure}\n`)
      else if (!hit) process.stdout.write(`missed ${inWords(plan)}\n`)
      if (done % 50 === 0) process.stdout.write(`${done} of ${plans.length}\n`)
      return 'go on'
    },
  })
  const minutes = (performance.now() - startedAt) / 60_000
  reportFragment({ about: ABOUT, rows: rowsOf(verdicts, minutes) })
}

function chosen(all: readonly Plan[]): Plan[] {
  const text = values.only
  const { family } = values
  if (family !== undefined && !all.some((plan) => familyOf(plan) === family))
    throw new Error(`--family ${family}: there are crash, apiError, watch, staleRead and hub`)
  const named = all.filter(
    (plan) =>
      (text === undefined || inWords(plan).includes(text)) &&
      (family === undefined || familyOf(plan) === family),
  )
  const seed = Number(values.seed)
  return values.plans === undefined ? shuffle(named, seed) : selection(named, Number(values.plans), seed)
}

function rowsOf(verdicts: readonly Verdict[], minutes: number): Row[] {
  const of = (family: Family): Verdict[] => verdicts.filter(({ plan }) => familyOf(plan) === family)
  const good = (some: readonly Verdict[]): number =>
    some.filter(({ hit, failure }) => hit && failure === undefined).length
  const shown = (name: string, family: Family, goal: number): Row => {
    const some = of(family)
    const missed = some.filter(({ hit, failure }) => !hit && failure === undefined).length
    const note = `${some.length} run, ${missed} of them without meeting what they were aimed at`
    return row({ name, value: good(some), goal, unit: 'plans', note })
  }
  const failed = verdicts.filter(({ failure }) => failure !== undefined)
  return [
    shown('crash plans that end in the golden state', 'crash', 300),
    shown('API-error plans that end in the golden state', 'apiError', 600),
    shown('watch plans that end in the golden state', 'watch', 300),
    shown('stale-read plans that end in the golden state', 'staleRead', 200),
    shown('hub-error plans that end in the golden state', 'hub', 50),
    row({
      ...{ name: 'plans that end in another state', value: failed.length, goal: 0, unit: 'plans' },
      direction: 'atMost',
      note: `${verdicts.length} plans in ${minutes.toFixed(0)} minutes${failed
        .slice(0, 5)
        .map(({ plan }) => `; ${inWords(plan)}`)
        .join('')}`,
    }),
  ]
}
