/*
 * A table and a plot of figures a round for a terminal. Plain text only, so that a log shows what a terminal shows.
 */
export interface Series {
  readonly name: string
  /** One figure a round, from round 1 on. */
  readonly values: readonly number[]
}

export interface PlotOptions {
  /** Lines of the plot's area. */
  readonly height?: number
  /** Characters of the plot's area. */
  readonly width?: number
  /** How a figure is written. */
  readonly format?: (value: number) => string
}

const MARKS = ['●', '○', '+', 'x', '*', '▲', '■', '◆'] as const
const COLUMN_GAP = 2

/** A column for each series, a line for each round. */
export function table(series: readonly Series[], format: (value: number) => string = percent): string {
  const rounds = Math.max(0, ...series.map(({ values }) => values.length))
  const cells = [['round', ...series.map(({ name }) => name)]]
  for (let round = 0; round < rounds; round++) {
    cells.push([String(round + 1), ...series.map(({ values }) => optional(values[round], format))])
  }
  return alignRight(cells)
}

/** Lines of cells, each column as wide as its widest cell. */
export function alignRight(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((line) => line[column]?.length ?? 0)),
  )
  const gap = ' '.repeat(COLUMN_GAP)
  return cells
    .map((line) => line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join(gap))
    .join('\n')
}

/** Where two series meet, the first one is seen. */
export function plot(series: readonly Series[], options: PlotOptions = {}): string {
  const { height = 12, width = 60, format = percent } = options
  const values = series.flatMap((one) => one.values).filter((value) => Number.isFinite(value))
  if (values.length === 0) return '(nothing to plot yet)'
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const rounds = Math.max(...series.map((one) => one.values.length))
  const area = Array.from({ length: height }, () => Array.from({ length: width }, () => ' '))
  for (const [index, one] of [...series.entries()].reverse()) {
    for (const [round, value] of one.values.entries()) {
      if (!Number.isFinite(value)) continue
      const line = area[Math.round(share(high - value, high - low) * (height - 1))]
      const column = Math.round(share(round, rounds - 1) * (width - 1))
      if (line) line[column] = MARKS[index % MARKS.length] ?? '●'
    }
  }
  return [...withAxis(area, [high, low].map(format)), legend(series)].join('\n')
}

export function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`
}

function withAxis(area: readonly string[][], [top = '', bottom = '']: readonly string[]): string[] {
  const margin = Math.max(top.length, bottom.length)
  const lines = area.map((line, index) => {
    const label = index === 0 ? top : index === area.length - 1 ? bottom : ''
    return `${label.padStart(margin)} ┤${line.join('')}`.trimEnd()
  })
  return [...lines, `${' '.repeat(margin)} └${'─'.repeat(area[0]?.length ?? 0)} rounds`]
}

function legend(series: readonly Series[]): string {
  return series.map(({ name }, index) => `${MARKS[index % MARKS.length] ?? '●'} ${name}`).join('   ')
}

function optional(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? '' : format(value)
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
