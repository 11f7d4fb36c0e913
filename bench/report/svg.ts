/*
 * Plots as plain SVG: how far each figure is from its goal, as bars on a logarithmic scale, and lines over rounds.
 * No dependency, no script inside, readable on light and dark pages.
 */
import { type Plot, type Row, withUnit } from '../rows.ts'

const INK = '#6b7280'
const COLOURS = [
  '#2563eb',
  '#dc2626',
  '#059669',
  '#d97706',
  '#7c3aed',
  '#0891b2',
  '#be185d',
  '#4d7c0f',
] as const
const REACHED = '#059669'
const SHORT = '#dc2626'

const WIDTH = 860
const LINE_HEIGHT = 22
const NAMES = 400
const SCALE = { left: NAMES + 10, right: WIDTH - 90 }
/** A bar at the goal ends in the middle; four times better or worse is an end of the scale. */
const OCTAVES = 2

/** One bar a row: the middle line is the goal, to the right of it is better. */
export function bars(title: string, rows: readonly Row[]): string {
  const height = 56 + rows.length * LINE_HEIGHT
  const middle = (SCALE.left + SCALE.right) / 2
  const body = rows.map((row, index) => bar(row, 44 + index * LINE_HEIGHT))
  const goal = line([middle, 34], [middle, height - 12], INK)
  return document(height, [
    text(10, 20, title, { size: 15 }),
    text(middle - 14, 32, 'goal', {}),
    goal,
    ...body,
  ])
}

function bar(row: Row, top: number): string {
  const middle = (SCALE.left + SCALE.right) / 2
  const name = text(10, top + 13, shortened(row.name, 62), {})
  if (row.value === null) return `${name}${text(middle + 6, top + 13, 'not measured', {})}`
  const octaves = Math.max(-OCTAVES, Math.min(OCTAVES, Math.log2(advantage(row))))
  const end = middle + (octaves / OCTAVES) * ((SCALE.right - SCALE.left) / 2)
  const [left, right] = [Math.min(middle, end), Math.max(middle, end)]
  const colour = row.reached ? REACHED : SHORT
  const shape = `<rect x="${round(left)}" y="${top + 3}" width="${round(Math.max(1.5, right - left))}" height="12" fill="${colour}"/>`
  return `${name}${shape}${text(SCALE.right + 8, top + 13, withUnit(row.value, row.unit), {})}`
}

/** Above 1: better than the goal. Figures without a ratio to their goal (0, or below) count as at its edge. */
function advantage({ value, goal, direction, reached }: Row): number {
  const ratio = direction === 'atLeast' ? (value ?? 0) / goal : goal / (value ?? 0)
  if (Number.isFinite(ratio) && ratio > 0) return ratio
  return reached ? 1 : 0.25
}

/** Lines over a shared scale. */
export function lines({ title, x, y, lines: series }: Plot): string {
  const area = { left: 70, right: WIDTH - 230, top: 40, bottom: 300 }
  const points = series.flatMap(({ points: all }) => all)
  const [xs, ys] = [points.map(([value]) => value), points.map(([, value]) => value)]
  const across = scale([Math.min(...xs), Math.max(...xs)], [area.left, area.right])
  const up = scale([Math.min(...ys), Math.max(...ys)], [area.bottom, area.top])
  const drawn = series.map(({ points: all }, index) => {
    const path = all.map(([a, b]) => `${round(across(a))},${round(up(b))}`).join(' ')
    return `<polyline points="${path}" fill="none" stroke="${colourAt(index)}" stroke-width="2"/>`
  })
  const legend = series.map(({ name }, index) =>
    text(area.right + 14, area.top + 14 + index * LINE_HEIGHT, shortened(name, 30), {
      colour: colourAt(index),
    }),
  )
  const ticks = [Math.min(...ys), Math.max(...ys)].map((value) =>
    text(8, up(value) + 4, String(Number(value.toPrecision(4))), {}),
  )
  const ends = [Math.min(...xs), Math.max(...xs)].map((value) =>
    text(across(value) - 6, area.bottom + 18, String(Number(value.toPrecision(4))), {}),
  )
  const axes = [
    line([area.left, area.top], [area.left, area.bottom], INK),
    line([area.left, area.bottom], [area.right, area.bottom], INK),
    text((area.left + area.right) / 2, area.bottom + 34, x, {}),
    text(8, area.top - 8, y, {}),
  ]
  return document(350, [text(10, 20, title, { size: 15 }), ...axes, ...ticks, ...ends, ...drawn, ...legend])
}

function scale([from, to]: readonly [number, number], [start, end]: readonly [number, number]) {
  const span = to === from ? 1 : to - from
  return (value: number): number => start + ((value - from) / span) * (end - start)
}

function document(height: number, parts: readonly string[]): string {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12">`
  return `${[open, ...parts, '</svg>'].join('\n')}\n`
}

function line(from: readonly [number, number], to: readonly [number, number], colour: string): string {
  const [x1, y1, x2, y2] = [...from, ...to].map(round)
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${colour}"/>`
}

interface TextStyle {
  size?: number
  colour?: string
}

function text(x: number, y: number, content: string, { size, colour = INK }: TextStyle): string {
  const fontSize = size === undefined ? '' : ` font-size="${size}"`
  return `<text x="${round(x)}" y="${round(y)}" fill="${colour}"${fontSize}>${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function shortened(content: string, length: number): string {
  return content.length <= length ? content : `${content.slice(0, length - 1)}…`
}

function colourAt(index: number): string {
  return COLOURS[index % COLOURS.length] ?? INK
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
