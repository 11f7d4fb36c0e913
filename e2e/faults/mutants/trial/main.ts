/*
 * One mutant against the suite, in a process of its own, because a module is loaded once:
 *
 *   node e2e/faults/mutants/trial/main.ts SETTINGS    settings as JSON; the last line printed is the outcome as JSON
 *
 * Modules of the operator are imported after the hook that changes them is in place.
 */
import { readFileSync } from 'node:fs'
import { loadMutated } from '../mutate.ts'
import { MUTANTS, NO_MUTANT } from '../mutants.ts'
import type { Mutant } from '../mutants.ts'
import type { Outcome, TrialSettings } from '../settings.ts'
import type { Golden } from '../../reconcilers/run.ts'

const settings = JSON.parse(process.argv[2] ?? '') as TrialSettings
const golden = JSON.parse(readFileSync(settings.golden, 'utf8')) as Golden[]
const mutant = MUTANTS.find(({ name }) => name === settings.mutant) ?? NO_MUTANT
loadMutated(mutant)
const { joinLaboratory } = await import('../../reconcilers/laboratory.ts')
const { rehearse, runPlans, allPlans } = await import('../../reconcilers/run.ts')
const { inWords, selection } = await import('../../reconcilers/plan.ts')

const { patienceMs, requestTimeoutMs } = settings
const patience = { patienceMs, requestTimeoutMs }
const laboratory = await joinLaboratory(settings.kubeconfig, { lanes: 2, prefix: settings.prefix })
const outcome = await trial()
await laboratory.stop()
process.stdout.write(`${JSON.stringify(outcome)}\n`)
// A mutant may leave anything running.
process.exit(0)

async function trial(): Promise<Outcome> {
  const tried = mutant === NO_MUTANT ? MUTANTS : [mutant]
  let plans = 0
  for (const each of tried) {
    const found = await against(each)
    plans += found.plans
    if (found.killedBy !== undefined) return { ...found, plans }
  }
  return { plans }
}

async function against({ scenario, plans: lines }: Mutant): Promise<Outcome> {
  const states = golden.find((each) => each.scenario === scenario)?.states
  const [lane] = laboratory.lanes
  if (!states || !lane) throw new Error(`${scenario}: there is no golden run of it`)
  try {
    await rehearse({ laboratory, lane, golden: states, ...patience }, scenario)
  } catch (error) {
    return { plans: 0, killedBy: 'without a fault', how: error instanceof Error ? error.message : '' }
  }
  const aimed = allPlans(golden).filter((plan) => {
    const line = inWords(plan)
    return plan.scenario === scenario && lines.some((part) => line.includes(part)) && !line.includes(', then')
  })
  const outcome: Outcome = { plans: 0 }
  await runPlans(selection(aimed, settings.plans, 1), {
    ...{ laboratory, golden, ...patience },
    onVerdict: ({ plan, failure }) => {
      outcome.plans += 1
      if (failure === undefined || outcome.killedBy !== undefined) return 'go on'
      outcome.killedBy = inWords(plan)
      outcome.how = failure
      return 'stop'
    },
  })
  return outcome
}
