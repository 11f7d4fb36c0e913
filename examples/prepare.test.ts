/*
 * What every example's `prepare` guarantees: the same bytes for the same request, every sample in exactly one
 * place, and nothing of the test set on a node.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { prepare as prepareDigits } from './digits/prepare.ts'
import type { PreparedData, PreparedFile } from './prepared.ts'
import { DAYS, readSegments } from './traffic/history.ts'
import { prepare as prepareTraffic } from './traffic/prepare.ts'

/** 80 segments, every 20 minutes of the 700 that have a history and a forecast. */
const ROWS_A_DAY = 80 * 35
const NODES = ['edge-a', 'edge-b', 'edge-c', 'edge-d']

/** For a machine that is busy with other tests; alone it takes a second. */
const PATIENCE_MS = 60_000

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-examples-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const EXAMPLES = [
  { name: 'digits', prepare: prepareDigits, columns: 28 * 28 + 1, label: 'label', classes: 10, rows: 5000 },
  {
    name: 'traffic',
    prepare: prepareTraffic,
    columns: 9 * 10 + 1,
    label: 'level',
    classes: 3,
    rows: ROWS_A_DAY * DAYS.length,
  },
]

describe.each(EXAMPLES)('prepare of $name', ({ name, prepare, columns, label, classes, rows }) => {
  let data: PreparedData

  beforeAll(() => {
    data = prepare({ nodes: NODES, outDir: join(folder, name), seed: 1 })
  }, PATIENCE_MS)

  it('writes one file a node and one test set, and nothing else', () => {
    const files = readdirSync(join(folder, name), { recursive: true, encoding: 'utf8' }).toSorted()
    expect(files).toEqual([...NODES.flatMap((node) => [node, join(node, 'samples.csv')]), 'test.csv'])
  })

  it('puts every sample in exactly one place: on one node or in the test set', () => {
    expect([...data.nodes.keys()]).toEqual(NODES)
    const counts = filesOf(data).map((file) => rowsOf(file).length)
    expect(counts).toEqual(filesOf(data).map((file) => file.rows))
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(100)
    // No two samples are equal, so that as many different rows as rows means that none is anywhere twice.
    const all = filesOf(data).flatMap(rowsOf)
    expect(all).toHaveLength(rows)
    expect(new Set(all).size).toBe(rows)
  })

  it('divides the same samples whatever the seed', () => {
    const other = prepare({ nodes: NODES, outDir: join(folder, `${name}-other`), seed: 2 })
    expect(digestsOf(other)).not.toEqual(digestsOf(data))
    const difference = new Set(filesOf(other).flatMap(rowsOf)).symmetricDifference(
      new Set(filesOf(data).flatMap(rowsOf)),
    )
    expect(difference.size).toBe(0)
  })

  it('has the label last and only numbers, none of them far from 1', () => {
    const [header = ''] = readFileSync(data.test.path, 'utf8').split('\n', 1)
    expect(header.split(',')).toHaveLength(columns)
    expect(header.split(',').at(-1)).toBe(label)
    for (const file of filesOf(data)) {
      for (const row of rowsOf(file)) {
        const cells = row.split(',').map(Number)
        if (cells.length !== columns || !cells.every((cell) => cell >= 0 && cell <= 20)) expect.fail(row)
      }
    }
    const labels = new Set(rowsOf(data.test).map((row) => Number(row.slice(row.lastIndexOf(',') + 1))))
    expect([...labels].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: classes }, (_, index) => index),
    )
  })

  it('writes the same bytes again', () => {
    const again = prepare({ nodes: NODES, outDir: join(folder, `${name}-again`), seed: 1 })
    expect(digestsOf(again)).toEqual(digestsOf(data))
  })

  it.each([
    { nodes: [], message: /0 nodes: expected/ },
    { nodes: ['a', 'a', 'b', 'c'], message: /node a is named twice/ },
    { nodes: ['a', '../b', 'c', 'd'], message: /node "\.\.\/b": expected the name of a Kubernetes node/ },
  ])('refuses the nodes $nodes', ({ nodes, message }) => {
    expect(() => prepare({ nodes, outDir: join(folder, 'refused'), seed: 1 })).toThrow(message)
  })
})

describe('the traffic data', () => {
  it('give each district as many segments and neighbours within the district alone', () => {
    const segments = readSegments()
    const districts = Map.groupBy(segments, ({ district }) => district)
    expect([...districts.values()].map((own) => own.length)).toEqual([20, 20, 20, 20])
    for (const { district, upstream, downstream } of segments) {
      const around = [...upstream, ...downstream].map((place) => segments[place]?.district)
      expect(new Set(around)).toEqual(new Set([district]))
    }
  })

  it('hold out a whole day of all districts', () => {
    const data = prepareTraffic({ nodes: NODES, outDir: join(folder, 'days'), seed: 3 })
    expect(data.test.rows).toBe(ROWS_A_DAY)
    expect([...data.nodes.values()].map(({ rows }) => rows)).toEqual(
      NODES.map(() => ((DAYS.length - 1) * ROWS_A_DAY) / 4),
    )
  })
})

function filesOf(data: PreparedData): PreparedFile[] {
  return [...data.nodes.values(), data.test]
}

function rowsOf({ path }: PreparedFile): string[] {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(1)
}

function digestsOf(data: PreparedData): string[] {
  return filesOf(data).map(({ path }) => createHash('sha256').update(readFileSync(path)).digest('hex'))
}
