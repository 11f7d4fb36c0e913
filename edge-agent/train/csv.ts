// Reads a CSV file of numbers, plain or gzip-compressed, into one matrix of features and one of labels. One header
// line; every column but the labels is a feature, in file order. Memory is bounded by the limits.
// Its errors name file, line and column. The cell's value is the node's own: it is in `local` and never in the message.
import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'

import { TrainingFailure } from './failures.ts'
import { LimitExceeded, readLines } from './lines.ts'

export interface TableLimits {
  /** Bytes of the file once decompressed. */
  readonly maximumBytes: number
  readonly maximumRows: number
}

export interface Table {
  readonly path: string
  readonly featureColumns: readonly string[]
  readonly labelColumns: readonly string[]
  readonly rows: number
  /** rows × features, row after row. */
  readonly features: Float32Array
  /** rows × labels, row after row, in the order of `labelColumns`. */
  readonly labels: Float32Array
}

const MAXIMUM_LINE_BYTES = 4 * 1024 * 1024
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

export async function readTable(
  path: string,
  labelColumns: readonly string[],
  limits: TableLimits,
): Promise<Table> {
  try {
    return await parseTable(path, labelColumns, limits)
  } catch (error) {
    if (error instanceof TrainingFailure) throw error
    const why = error instanceof LimitExceeded ? `it has ${error.message}` : describe(error)
    throw new TrainingFailure('DatasetUnreadable', `data set ${path}: ${why}`)
  }
}

async function parseTable(
  path: string,
  labelColumns: readonly string[],
  limits: TableLimits,
): Promise<Table> {
  const source = createReadStream(path, { highWaterMark: 256 * 1024 })
  const lineLimits = { maximumBytes: limits.maximumBytes, maximumLineBytes: MAXIMUM_LINE_BYTES }
  let builder: TableBuilder | undefined
  let number = 0
  try {
    for await (const line of readLines(path.endsWith('.gz') ? gunzip(source) : source, lineLimits)) {
      number += 1
      if (line.trim() === '') continue
      if (builder) builder.add(line, number)
      else builder = new TableBuilder(path, splitCells(line.replace(/^\uFEFF/, '')), labelColumns, limits)
    }
  } finally {
    source.destroy()
  }
  if (!builder) throw new Error('it is empty; expected a header line and rows of numbers')
  return builder.table()
}

function gunzip(source: NodeJS.ReadableStream): AsyncIterable<Uint8Array> {
  const unzip = createGunzip()
  source.on('error', (error: Error) => unzip.destroy(error))
  return source.pipe(unzip)
}

class TableBuilder {
  readonly #path: string
  readonly #columns: readonly string[]
  readonly #labelColumns: readonly string[]
  readonly #maximumRows: number
  /** For each column: its place among the labels, or -1 for a feature. */
  readonly #labelPlaces: readonly number[]
  readonly #featureCount: number
  #features = new Float32Array(0)
  #labels = new Float32Array(0)
  #rows = 0

  constructor(
    path: string,
    columns: readonly string[],
    labelColumns: readonly string[],
    limits: TableLimits,
  ) {
    this.#path = path
    this.#columns = columns
    this.#labelColumns = labelColumns
    this.#maximumRows = limits.maximumRows
    checkHeader(path, columns, labelColumns)
    this.#labelPlaces = columns.map((column) => labelColumns.indexOf(column))
    this.#featureCount = columns.length - labelColumns.length
  }

  add(line: string, lineNumber: number): void {
    const cells = splitCells(line)
    if (cells.length !== this.#columns.length) {
      const counts = `${cells.length} cells, expected ${this.#columns.length} as in the header`
      throw new Error(`line ${lineNumber} has ${counts}`)
    }
    if (this.#rows === this.#maximumRows) throw new LimitExceeded(`more than ${this.#maximumRows} rows`)
    this.#features = withRoomFor(this.#features, (this.#rows + 1) * this.#featureCount)
    this.#labels = withRoomFor(this.#labels, (this.#rows + 1) * this.#labelColumns.length)
    let feature = this.#rows * this.#featureCount
    for (const [index, cell] of cells.entries()) {
      const value = this.#number(cell, index, lineNumber)
      const place = this.#labelPlaces[index] ?? -1
      if (place < 0) this.#features[feature++] = value
      else this.#labels[this.#rows * this.#labelColumns.length + place] = value
    }
    this.#rows += 1
  }

  table(): Table {
    const labelColumns = this.#labelColumns
    return {
      path: this.#path,
      featureColumns: this.#columns.filter((column) => !labelColumns.includes(column)),
      labelColumns,
      rows: this.#rows,
      features: this.#features.subarray(0, this.#rows * this.#featureCount),
      labels: this.#labels.subarray(0, this.#rows * labelColumns.length),
    }
  }

  #number(cell: string, index: number, lineNumber: number): number {
    const text = cell.trim()
    const value = NUMBER.test(text) ? Math.fround(Number(text)) : NaN
    if (Number.isFinite(value)) return value
    const where = `data set ${this.#path}: line ${lineNumber}, column ${quote(this.#columns[index] ?? '')}`
    const expected = 'expected a finite decimal number within float32, such as 12.5 or -3e-4'
    throw new TrainingFailure(
      'DatasetUnreadable',
      `${where} is ${text === '' ? 'empty' : 'not a number'}; ${expected}`,
      `${where} is ${quote(text)}; ${expected}`,
    )
  }
}

function checkHeader(path: string, columns: readonly string[], labelColumns: readonly string[]): void {
  const twice = columns.find((column, index) => columns.indexOf(column) !== index)
  if (twice !== undefined) throw new Error(`the header names column ${quote(twice)} twice`)
  const missing = labelColumns.find((column) => !columns.includes(column))
  if (missing !== undefined) {
    const has = columns.slice(0, 20).map(quote).join(', ') + (columns.length > 20 ? ', …' : '')
    throw new TrainingFailure(
      'DatasetMismatch',
      `data set ${path}: label column ${quote(missing)} is not in the header, which has ${has}`,
    )
  }
  if (columns.length === labelColumns.length)
    throw new Error('every column is a label; expected features too')
}

const QUOTED = /"((?:[^"]|"")*)"/y

/** Cells may stand in double quotes, with a quote written twice; a line end within quotes is not supported. */
export function splitCells(line: string): string[] {
  if (!line.includes('"')) return line.split(',')
  const cells: string[] = []
  let at = 0
  do {
    QUOTED.lastIndex = at
    const quoted = QUOTED.exec(line)?.[1]
    const end = quoted === undefined ? nextComma(line, at) : QUOTED.lastIndex
    const cell = quoted?.replaceAll('""', '"') ?? line.slice(at, end)
    const isWhole = end === line.length || line[end] === ','
    if (!isWhole || (quoted === undefined && cell.includes('"'))) {
      throw new Error('a line has a double quote that does not enclose a whole cell')
    }
    cells.push(cell)
    at = end + 1
  } while (at <= line.length)
  return cells
}

function nextComma(line: string, from: number): number {
  const at = line.indexOf(',', from)
  return at < 0 ? line.length : at
}

function withRoomFor(values: Float32Array<ArrayBuffer>, length: number): Float32Array<ArrayBuffer> {
  if (values.length >= length) return values
  const larger = new Float32Array(Math.max(length, values.length * 2, 1024))
  larger.set(values)
  return larger
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
