/*
 * How a part of the fault campaigns ends: `e2e/faults/<part>/main.ts` prints its rows for a person and writes them, with
 * a few sentences about itself, to the file of `--out`, from where `make faults` collects them.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { z } from 'zod'
import { inWords } from '#bench/rows.ts'
import { Fragment } from './report/reliability.ts'

/** Rows are made with `row` of bench/rows.ts, which judges them. */
export function reportFragment(
  fragment: z.input<typeof Fragment>,
  args: readonly string[] = process.argv.slice(2),
): void {
  const whole = Fragment.parse(fragment)
  for (const row of whole.rows) process.stdout.write(`${inWords(row)}\n`)
  const { values } = parseArgs({ args: [...args], options: { out: { type: 'string' } }, strict: false })
  if (typeof values.out === 'string') writeFileSync(values.out, `${JSON.stringify(whole, null, 2)}\n`)
}
