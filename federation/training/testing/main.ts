/*
 * The long run of the gradient tests: many random nodes of every family, against differences. Prints a line a family, and
 * each mismatch; fails when there is one.
 *
 *   make fuzz [CASES=10000] [SEED=1] [FAMILY="pools"]
 */
import fc from 'fast-check'

import { mismatches } from './differences.ts'
import { FAMILIES } from './families/index.ts'
import { elementCount } from '../manifest.ts'
import { describeMismatch, type NodeCase } from './node-case.ts'

/** How many elements take a difference. */
function elementsOf({ inputs, learning }: NodeCase): number {
  return learning.reduce((sum, input) => sum + elementCount(inputs[input]?.shape ?? []), 0)
}

/** Cases a graph: the runtime optimises a graph of many nodes slowly. */
const BATCH = 8

const [cases = 10_000, seed = 1] = process.argv.slice(2, 4).map(Number)
const only = process.argv[4]
const families = FAMILIES.filter(({ name }) => only === undefined || name === only)
if (families.length === 0) {
  throw new Error(`there is no family ${only}; there are ${FAMILIES.map(({ name }) => name).join(', ')}`)
}

let failed = 0
for (const family of families) {
  const started = process.cpuUsage()
  // A batch takes as many runs as its largest case has elements.
  const drawn = fc
    .sample(family.cases, { numRuns: cases, seed })
    .sort((a, b) => elementsOf(a) - elementsOf(b))
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
