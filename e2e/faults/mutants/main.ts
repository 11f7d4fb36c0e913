/*
 * Is the suite of fault plans strict enough? It must kill every wrong reconciler of mutants.ts, and leave the right one
 * alone under the very same plans.
 *
 *   node e2e/faults/mutants/main.ts [--out FILE] [--only TEXT] [--plans N]
 *     --only TEXT    mutants whose name contains TEXT
 *     --plans N      at most N plans for each (12)
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { row } from '#bench/rows.ts'
import { reportFragment } from '../fragment.ts'
import { openLaboratory } from '../reconcilers/laboratory.ts'
import { learn } from '../reconcilers/run.ts'
import { MUTANTS, NO_MUTANT } from './mutants.ts'
import type { Mutant } from './mutants.ts'
import type { Outcome, TrialSettings } from './settings.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    only: { type: 'string', default: '' },
    plans: { type: 'string', default: '12' },
  },
})

const ABOUT = [
  'The control of the plans of `reconcilers`: the operator with one thing wrong each, loaded with a few words of their source changed.',
  'Each is played against the golden states of the operator as it is, without a fault and then under plans of one scenario, until one',
  'ends otherwise. The operator as it is must survive the same plans.',
].join(' ')

/** For trials: long enough for a busy machine, short enough for mutants that never get anywhere. */
const TRIAL = { patienceMs: 20_000, requestTimeoutMs: 2_500 }
const TRIAL_TIMEOUT_MS = 900_000

const mutants = MUTANTS.filter(({ name }) => name.includes(values.only))
const laboratory = await openLaboratory(2)
const folder = mkdtempSync(join(tmpdir(), 'tributary-mutants-'))
try {
  await tryAll()
} finally {
  await laboratory.stop()
  rmSync(folder, { recursive: true })
}

async function tryAll(): Promise<void> {
  const golden = join(folder, 'golden.json')
  const scenarios = [...new Set(MUTANTS.map(({ scenario }) => scenario))]
  writeFileSync(golden, JSON.stringify(await learn(laboratory, scenarios, { ...TRIAL, patienceMs: 60_000 })))
  const outcomes: Outcome[] = []
  for (const [index, mutant] of mutants.entries()) {
    const outcome = await trial(mutant, `m${index}`, golden)
    outcomes.push(outcome)
    const verdict = outcome.killedBy === undefined ? 'LIVES' : `killed by ${outcome.killedBy}`
    process.stdout.write(`${mutant.name}: ${verdict} (${outcome.how?.slice(0, 200) ?? ''})\n`)
  }
  const right = await trial(NO_MUTANT, 'right', golden)
  const alive = mutants.filter((_, index) => outcomes[index]?.killedBy === undefined)
  const table = mutants.map(({ name }, index) => `${name}: ${outcomes[index]?.killedBy ?? 'lives'}`)
  reportFragment({
    about: ABOUT,
    rows: [
      row({
        ...{ name: `wrong reconcilers killed, of ${mutants.length}`, value: mutants.length - alive.length },
        ...{ goal: mutants.length, unit: 'mutants', note: table.join('; ') },
      }),
      row({
        ...{ name: 'the operator as it is, killed by the same plans', goal: 0, unit: 'times' },
        value: right.killedBy === undefined ? 0 : 1,
        direction: 'atMost',
        note: right.killedBy === undefined ? `${right.plans} plans` : `${right.killedBy}: ${right.how ?? ''}`,
      }),
    ],
  })
}

async function trial(mutant: Mutant, prefix: string, golden: string): Promise<Outcome> {
  const settings: TrialSettings = {
    ...{
      mutant: mutant.name,
      kubeconfig: laboratory.kubeconfig,
      golden,
      prefix,
      plans: Number(values.plans),
    },
    ...TRIAL,
  }
  const entry = join(import.meta.dirname, 'trial/main.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [entry, JSON.stringify(settings)], {
    timeout: TRIAL_TIMEOUT_MS,
    maxBuffer: 16 * 1024 * 1024,
  })
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Outcome
}
