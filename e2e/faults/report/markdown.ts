/*
 * docs/reliability.md, from what the fault campaigns showed: a table for each part, the goals that were not reached
 * included, with the reason.
 */
import { surroundingsTable, table } from '#bench/report/markdown.ts'
import type { Reliability } from './reliability.ts'

export function markdown(reliability: Reliability): string {
  const { parts, rows } = reliability
  const reached = rows.filter((row) => row.reached).length
  const head = [
    '# Reliability',
    '',
    'Written by `make faults`; the figures are those of `reliability.json` beside this page. Each part breaks something on',
    'purpose, many times, and judges what is left. A goal that was not reached stays in the table, with the reason.',
    '',
    `${reached} of ${rows.length} goals reached.`,
    '',
    ...surroundingsTable(reliability),
  ]
  const sections = parts.flatMap(({ name, about, date, rows: own }) => [
    '',
    `## ${name}`,
    '',
    about,
    '',
    `\`make faults T=e2e/faults/${name}\`, ${date}`,
    '',
    ...table(own),
  ])
  return `${[...head, ...sections].join('\n')}\n`
}
