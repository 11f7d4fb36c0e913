import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { type Table, readTable, splitCells } from './csv.ts'
import { TrainingFailure } from './failures.ts'

const LIMITS = { maximumBytes: 1024 * 1024, maximumRows: 1000 }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'csv-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function read(
  content: string | Buffer,
  changes: { name?: string; labels?: string[]; limits?: typeof LIMITS } = {},
) {
  const path = join(folder, changes.name ?? 'rows.csv')
  await writeFile(path, content)
  return await readTable(path, changes.labels ?? ['y'], changes.limits ?? LIMITS)
}

async function failure(...given: Parameters<typeof read>): Promise<TrainingFailure> {
  const error: unknown = await read(...given).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(TrainingFailure)
  return error as TrainingFailure
}

const rowsOf = (table: Table) => ({
  features: [...table.features],
  labels: [...table.labels],
  rows: table.rows,
})

describe('readTable', () => {
  it.each([
    {
      name: 'labels from anywhere in the row',
      content: 'a,y,b\n1,2,3\n4,5,6\n',
      features: [1, 3, 4, 6],
      labels: [2, 5],
    },
    { name: 'a last line without end', content: 'a,y\n1,2', features: [1], labels: [2] },
    { name: 'lines that end as on Windows', content: 'a,y\r\n1,2\r\n', features: [1], labels: [2] },
    { name: 'a byte-order mark', content: '\uFEFFa,y\n1,2\n', features: [1], labels: [2] },
    { name: 'blank lines', content: 'a,y\n\n1,2\n\n', features: [1], labels: [2] },
    {
      name: 'cells in quotes and spaces',
      content: '"a","y"\n "1" , 2\n'.replaceAll(' "1" ', '"1"'),
      features: [1],
      labels: [2],
    },
    {
      name: 'every form of a number',
      content: 'a,y\n-1.5e-3,+.5\n2.,7E2\n',
      features: [Math.fround(-0.0015), 2],
      labels: [0.5, 700],
    },
    { name: 'no rows', content: 'a,y\n', features: [], labels: [] },
  ])('reads $name', async ({ content, features, labels }) => {
    expect(rowsOf(await read(content))).toEqual({ features, labels, rows: labels.length })
  })

  it('keeps several labels in the order they were asked for', async () => {
    const table = await read('y1,a,y2\n1,2,3\n4,5,6\n', { labels: ['y2', 'y1'] })
    expect([...table.labels]).toEqual([3, 1, 6, 4])
    expect(table.featureColumns).toEqual(['a'])
  })

  it('reads a gzip-compressed file', async () => {
    const table = await read(gzipSync('a,y\n1,2\n'), { name: 'rows.csv.gz' })
    expect(rowsOf(table)).toEqual({ features: [1], labels: [2], rows: 1 })
  })

  it.each([
    { name: 'a word', cell: 'fast', want: 'line 3, column "speed" is not a number' },
    { name: 'nothing', cell: '', want: 'line 3, column "speed" is empty' },
    { name: 'NaN', cell: 'NaN', want: 'is not a number' },
    { name: 'Infinity', cell: 'Infinity', want: 'is not a number' },
    { name: 'a number beyond float32', cell: '1e39', want: 'is not a number' },
    { name: 'a hexadecimal number', cell: '0x10', want: 'is not a number' },
    { name: 'two numbers', cell: '1 2', want: 'is not a number' },
  ])('refuses a cell with $name, and says where and what would be right', async ({ cell, want }) => {
    const error = await failure(`speed,y\n1,2\n${cell},4\n`)
    expect(error.reason).toBe('DatasetUnreadable')
    expect(error.message).toContain(want)
    expect(error.message).toContain('rows.csv')
    expect(error.message).toContain('expected a finite decimal number')
  })

  it('quotes the value for the node alone, never in the message that leaves it', async () => {
    const error = await failure('a,y\nsecret-value,2\n')
    expect(error.local).toContain('"secret-value"')
    expect(error.message).not.toContain('secret')
  })

  it.each([
    { name: 'an empty file', content: '', want: 'it is empty' },
    { name: 'a row with too few cells', content: 'a,y\n1\n', want: 'line 2 has 1 cells, expected 2' },
    { name: 'a row with too many cells', content: 'a,y\n1,2,3\n', want: 'line 2 has 3 cells, expected 2' },
    { name: 'a column named twice', content: 'a,a,y\n1,2,3\n', want: 'names column "a" twice' },
    { name: 'a quote that is not closed', content: 'a,y\n"1,2\n', want: 'double quote' },
    { name: 'nothing but labels', content: 'y\n1\n', want: 'every column is a label' },
    { name: 'bytes that are not UTF-8', content: Buffer.from([0x61, 0xff, 0x0a]), want: 'rows.csv' },
  ])('refuses $name', async ({ content, want }) => {
    const error = await failure(content)
    expect(error.reason).toBe('DatasetUnreadable')
    expect(error.message).toContain(want)
  })

  it('refuses a header without the label, and shows the columns', async () => {
    const error = await failure('a,b\n1,2\n')
    expect(error.reason).toBe('DatasetMismatch')
    expect(error.message).toContain('label column "y" is not in the header, which has "a", "b"')
  })

  it('names a file that is not there', async () => {
    await expect(readTable('/data/none.csv', ['y'], LIMITS)).rejects.toMatchObject({
      reason: 'DatasetUnreadable',
      message: expect.stringContaining('/data/none.csv') as string,
    })
  })

  it('refuses a compressed file that breaks off', async () => {
    const whole = gzipSync(`a,y\n${'1,2\n'.repeat(1000)}`)
    const error = await failure(whole.subarray(0, whole.length - 10), { name: 'cut.csv.gz' })
    expect(error.reason).toBe('DatasetUnreadable')
  })

  it.each([
    { name: 'rows', limits: { ...LIMITS, maximumRows: 2 }, want: 'more than 2 rows' },
    { name: 'bytes', limits: { ...LIMITS, maximumBytes: 10 }, want: 'more than 10 bytes' },
  ])('stops at the limit of $name', async ({ limits, want }) => {
    expect((await failure('a,y\n1,2\n3,4\n5,6\n', { limits })).message).toContain(want)
  })

  it('stops at the limit of bytes when a small file unpacks to a large one', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024, '1'))
    expect((await failure(bomb, { name: 'bomb.csv.gz' })).message).toContain('more than 1048576 bytes')
  })

  it('stops at a line without end', async () => {
    const limits = { maximumBytes: 100 * 1024 * 1024, maximumRows: 10 }
    const error = await failure(Buffer.alloc(6 * 1024 * 1024, '1'), { limits })
    expect(error.message).toContain('a line of more than')
  })

  it('gives back any numbers that were written', async () => {
    const number = fc.float({ noNaN: true, noDefaultInfinity: true })
    const rows = fc.array(fc.tuple(number, number, number), { minLength: 0, maxLength: 50 })
    await fc.assert(
      fc.asyncProperty(rows, async (written) => {
        const table = await read(['a,y,b', ...written.map((row) => row.join(','))].join('\n'))
        const plusZero = (value: number) => (value === 0 ? 0 : value)
        expect([...table.features].map(plusZero)).toEqual(written.flatMap(([a, , b]) => [a, b]).map(plusZero))
        expect([...table.labels].map(plusZero)).toEqual(written.map(([, y]) => plusZero(y)))
      }),
      { numRuns: 50 },
    )
  })
})

describe('splitCells', () => {
  it('undoes the quoting of any cells', () => {
    const cell = fc.string().map((text) => text.replaceAll(/[\r\n]/g, ''))
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1, maxLength: 8 }), (cells) => {
        const line = cells.map((text) => `"${text.replaceAll('"', '""')}"`).join(',')
        expect(splitCells(line)).toEqual(cells)
      }),
    )
  })

  it.each([
    { line: 'a,b', want: ['a', 'b'] },
    { line: ',', want: ['', ''] },
    { line: '"a,b",c', want: ['a,b', 'c'] },
    { line: '"",x', want: ['', 'x'] },
    { line: 'x,""', want: ['x', ''] },
    { line: '"x",', want: ['x', ''] },
  ])('splits $line', ({ line, want }) => {
    expect(splitCells(line)).toEqual(want)
  })

  it.each(['"a', '"a"b', 'a"b"', '"a""'])('refuses %s', (line) => {
    expect(() => splitCells(line)).toThrow('double quote')
  })
})
