/*
 * docs/performance.md, from what was measured: a table and a plot for each benchmark, the goals that were not reached
 * included, with the reason.
 */
import { type Row, withUnit } from '../rows.ts'
import type { Performance, Surroundings } from './performance.ts'

/** @param about what each benchmark is, in a sentence, by its name */
export function markdown(
  { machine, versions, command, date, benchmarks }: Performance,
  about: About,
): string {
  const rows = benchmarks.flatMap(({ rows: own }) => own)
  const reached = rows.filter((row) => row.reached).length
  const head = [
    '# Performance',
    '',
    'Written by `make bench`; the figures are those of `performance.json` beside this page. Each is a ratio of two sides',
    'that ran in one go on one machine (or has its unit), and each has a goal. A goal that was not reached stays in the',
    'table, with the reason. Kernels are measured by CPU time, the best of many runs, contenders taking turns.',
    '',
    `${reached} of ${rows.length} goals reached.`,
    '',
    ...surroundingsTable({ machine, versions, command, date }),
  ]
  const sections = benchmarks.flatMap(({ name, rows: own, plots }) => [
    '',
    `## ${name}`,
    '',
    ...(about[name] ? [about[name], ''] : []),
    `\`make bench T=bench/${name}\``,
    '',
    ...(own.length === 0 ? [] : [`![${name}: figures against goals](performance/${name}.svg)`, '']),
    ...plots.flatMap(({ title }, index) => [`![${title}](performance/${name}-${index + 1}.svg)`, '']),
    ...(own.length === 0 ? [] : table(own)),
  ])
  return `${[...head, ...sections].join('\n')}\n`
}

export type About = Readonly<Record<string, string>>

/** Where, when and with what the figures were measured, as lines of Markdown. */
export function surroundingsTable({ machine, versions, command, date }: Surroundings): string[] {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return [
    '| | |',
    '|---|---|',
    `| command | \`${command}\` |`,
    `| date | ${date} |`,
    `| machine | ${machine} |`,
    `| versions | ${named.join(', ')} |`,
  ]
}

/** The rows as lines of Markdown: figure, goal, and a remark where the goal was not reached. */
export function table(rows: readonly Row[]): string[] {
  return ['| | reached | goal | |', '|---|---|---|---|', ...rows.map(tableLine)]
}

function tableLine({ name, value, unit, goal, direction, reached, note }: Row): string {
  const figure = value === null ? 'not measured' : withUnit(value, unit)
  const bound = `${direction === 'atLeast' ? '≥' : '≤'} ${withUnit(goal, unit)}`
  const remark = [reached ? '' : '**not reached**', note].filter((part) => part !== '').join(': ')
  return `| ${[name, figure, bound, remark].map(cell).join(' | ')} |`
}

function cell(content: string): string {
  return content.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
