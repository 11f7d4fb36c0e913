/*
 * docs/performance.json: what `make bench` measured, where and with what. A run of one benchmark replaces that
 * benchmark's part and leaves the others.
 */
import { z } from 'zod'

import { Plot, type Result, Row } from '../rows.ts'

const Benchmark = z.strictObject({
  name: z.string(),
  date: z.string(),
  rows: z.array(Row),
  plots: z.array(Plot).default([]),
})

export const Performance = z.strictObject({
  machine: z.string(),
  versions: z.record(z.string(), z.string()),
  command: z.string(),
  date: z.string(),
  /** Every row of every benchmark, in order: the same rows as below, for whoever wants one list. */
  rows: z.array(Row.pick({ name: true, value: true, goal: true, reached: true })),
  benchmarks: z.array(Benchmark),
})
export type Performance = z.output<typeof Performance>

export interface Measured {
  readonly name: string
  readonly result: Result
}

export interface Surroundings {
  readonly machine: string
  readonly versions: Readonly<Record<string, string>>
  readonly command: string
  /** ISO date. */
  readonly date: string
}

export function withMeasured(
  known: Performance | undefined,
  measured: readonly Measured[],
  { machine, versions, command, date }: Surroundings,
): Performance {
  const fresh = measured.map(({ name, result: { rows, plots } }) => ({ name, date, rows, plots }))
  const kept = (known?.benchmarks ?? []).filter(({ name }) => !fresh.some((one) => one.name === name))
  const benchmarks = [...kept, ...fresh].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const ofPeers = Object.assign({}, ...measured.map(({ result }) => result.versions)) as Record<
    string,
    string
  >
  return {
    machine,
    versions: { ...known?.versions, ...versions, ...ofPeers },
    command,
    date,
    rows: benchmarks.flatMap(({ rows }) =>
      rows.map(({ name, value, goal, reached }) => ({ name, value, goal, reached })),
    ),
    benchmarks,
  }
}
