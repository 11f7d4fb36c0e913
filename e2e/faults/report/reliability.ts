/*
 * docs/reliability.json: what the fault campaigns showed, where and with what. A run of one part replaces that part's
 * rows and leaves the others, so that an hour of one campaign need not be repeated for the minutes of another.
 */
import { z } from 'zod'
import type { Surroundings } from '#bench/report/performance.ts'
import { Row } from '#bench/rows.ts'

/** What a part writes with `--out FILE`. */
export const Fragment = z.strictObject({
  /** What the part does and how it judges, in a few sentences, for the page. */
  about: z.string().min(1),
  rows: z.array(Row).min(1),
})
export type Fragment = z.output<typeof Fragment>

const Part = Fragment.extend({ name: z.string(), date: z.string() })

export const Reliability = z.strictObject({
  machine: z.string(),
  versions: z.record(z.string(), z.string()),
  command: z.string(),
  date: z.string(),
  /** Every row of every part, in order: the same rows as below, for whoever wants one list. */
  rows: z.array(Row.pick({ name: true, value: true, goal: true, reached: true })),
  parts: z.array(Part),
})
export type Reliability = z.output<typeof Reliability>

export interface Shown {
  readonly name: string
  readonly fragment: Fragment
}

/** What is known already, with the given parts in the place of their predecessors; parts are in the order of their names. */
export function withShown(
  known: Reliability | undefined,
  shown: readonly Shown[],
  { machine, versions, command, date }: Surroundings,
): Reliability {
  const fresh = shown.map(({ name, fragment: { about, rows } }) => ({ name, about, date, rows }))
  const kept = (known?.parts ?? []).filter(({ name }) => !fresh.some((one) => one.name === name))
  const parts = [...kept, ...fresh].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return {
    machine,
    versions: { ...known?.versions, ...versions },
    command,
    date,
    rows: parts.flatMap(({ rows }) =>
      rows.map(({ name, value, goal, reached }) => ({ name, value, goal, reached })),
    ),
    parts,
  }
}
