// A short selection of the plans, the same every time: enough to notice when a reconciler stops surviving faults. All of
// them: make faults T=e2e/faults/reconcilers.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openLaboratory } from './laboratory.ts'
import type { Laboratory } from './laboratory.ts'
import { familyOf, inWords, selection } from './plan.ts'
import { allPlans, learn, runPlans } from './run.ts'

const PATIENCE = { patienceMs: 30_000, requestTimeoutMs: 2_500 }

let laboratory: Laboratory

beforeAll(async () => {
  laboratory = await openLaboratory(4)
}, 120_000)

afterAll(async () => {
  await laboratory.stop()
})

it('end as without a fault, whatever fails', { timeout: 300_000 }, async () => {
  const golden = await learn(laboratory, ['campaign', 'replaced', 'zones', 'model', 'profile'], PATIENCE)
  const plans = selection(allPlans(golden), 40, 5)
  expect(new Set(plans.map(familyOf))).toEqual(new Set(['crash', 'apiError', 'watch', 'staleRead', 'hub']))
  const verdicts = await runPlans(plans, { laboratory, golden, ...PATIENCE, onVerdict: () => 'go on' })
  const failures = verdicts.flatMap(({ plan, failure }) =>
    failure === undefined ? [] : [`${inWords(plan)}: ${failure}`],
  )
  expect(failures).toEqual([])
  expect(verdicts.filter(({ hit }) => hit).length).toBeGreaterThanOrEqual(36)
})
