/*
 * What a benchmark measured, in the form that `make bench` collects: one row a figure, with the goal that it is held
 * against. A benchmark is a program `bench/<name>/main.ts` that writes these with `--out FILE`; it also prints them.
 */
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'

import { z } from 'zod'

export const Row = z.strictObject({
  /** What was measured, against whom, on which inputs: a short phrase. */
  name: z.string().min(1),
  /** The figure reached; null when it could not be measured, which the note explains. */
  value: z.number().nullable(),
  /** `x` for a ratio (how many times better than the peer), else the unit of value and goal: `points`, `MB`, `rounds`. */
  unit: z.string().default('x'),
  goal: z.number(),
  /** Whether more or less than the goal is right. */
  direction: z.enum(['atLeast', 'atMost']).default('atLeast'),
  reached: z.boolean(),
  /** Both sides' own figures, the load, and why a goal is not reached. */
  note: z.string().default(''),
})
export type Row = z.output<typeof Row>

/** Figures over something, such as rounds, that are drawn as lines. */
export const Plot = z.strictObject({
  title: z.string().min(1),
  x: z.string(),
  y: z.string(),
  lines: z
    .array(z.strictObject({ name: z.string(), points: z.array(z.tuple([z.number(), z.number()])) }))
    .min(1),
})
export type Plot = z.output<typeof Plot>

export const Result = z.strictObject({
  rows: z.array(Row),
  plots: z.array(Plot).default([]),
  /** Versions of the peers that took part, by name. */
  versions: z.record(z.string(), z.string()).default({}),
})
export type Result = z.output<typeof Result>

/** A row whose goal is judged here, so that no benchmark judges in its own way. */
export function row(measured: Omit<z.input<typeof Row>, 'reached'>): Row {
  const { value, goal, direction = 'atLeast' } = measured
  const reached = value !== null && (direction === 'atLeast' ? value >= goal : value <= goal)
  return Row.parse({ ...measured, reached })
}

/** Prints the rows for a person and writes them to the file of `--out`, if there is one. */
export function report(
  result: z.input<typeof Result>,
  args: readonly string[] = process.argv.slice(2),
): void {
  const whole = Result.parse(result)
  for (const each of whole.rows) process.stdout.write(`${inWords(each)}\n`)
  process.stdout.write(
    `load average ${loadavg()
      .map((load) => load.toFixed(2))
      .join(' ')}\n`,
  )
  const { values } = parseArgs({ args: [...args], options: { out: { type: 'string' } }, strict: false })
  if (typeof values.out === 'string') writeFileSync(values.out, `${JSON.stringify(whole, null, 2)}\n`)
}

export function inWords({ name, value, unit, goal, direction, reached, note }: Row): string {
  const figure = value === null ? 'not measured' : withUnit(value, unit)
  const verdict = reached ? 'reached' : 'NOT REACHED'
  const bound = `${direction === 'atLeast' ? '≥' : '≤'} ${withUnit(goal, unit)}`
  return `${name}: ${figure} (goal ${bound}, ${verdict})${note === '' ? '' : `; ${note}`}`
}

/** Three significant digits, with the unit. */
export function withUnit(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
  return unit === 'x' ? `${digits}×` : `${digits} ${unit}`
}
