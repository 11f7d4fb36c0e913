/*
 * The long run of the gradient tests: many random nodes of every family, against differences. Prints a line a family, and
 * each mismatch; fails when there is one.
 *
 *   make fuzz [CASES=10000] [SEED=1]
 */
import fc from 'fast-check'

import { mismatches } from './differences.ts'
import { FAMILIES } from './families/index.ts'
import { describeMismatch } from './node-case.ts'

const BATCH = 50

const [cases = 10_000, seed = 1] = process.argv.slice(2).map(Number)
let failed = 0
for (const family of FAMILIES) {
  const started = process.cpuUsage()
  const drawn = fc.sample(family.cases, { numRuns: cases, seed })
  let wrong = 0
  for (let first = 0; first < drawn.length; first += BATCH) {
    const found = await mismatches(drawn.slice(first, first + BATCH))
    for (const mismatch of found) console.error(describeMismatch(mismatch))
    wrong += new Set(found.map((mismatch) => mismatch.case)).size
  }
  const { user, system } = process.cpuUsage(started)
  const seconds = ((user + system) / 1e6).toFixed(0)
  console.log(
    `${family.name}: ${drawn.length} cases, ${wrong} failed (seed ${seed}, ${seconds} s of processor time)`,
  )
  failed += wrong
}
process.exitCode = failed > 0 ? 1 : 0
