/*
 * The 5,000 handwritten digits of examples/digits as a federated data set: a test set that no client has, and clients
 * that hold the rest, alike or with two digits each as in McMahan et al. 2017 (two of 200 shards sorted by label).
 */
import { join } from 'node:path'

import { readLines, shuffled } from '../examples/prepared.ts'
import type { Samples } from '#federation/training/index.ts'
import { Random } from '#federation/training/random.ts'

const FILE = join(import.meta.dirname, '../examples/digits/data/mnist_5k.csv.gz')
const PIXELS = 28 * 28
const BRIGHTEST = 255
const TEST_ROWS = 1000
const SHARDS_A_CLIENT = 2

export interface Digits {
  /** Pixels from 0 to 1, a row a digit, and its label. */
  readonly all: Samples
  readonly test: readonly number[]
  /** Rows of each client. */
  readonly clients: readonly (readonly number[])[]
}

export type Distribution = 'IID' | 'non-IID'

export function readDigits(distribution: Distribution, clients: number, seed: number): Digits {
  const all = readAll()
  const order = shuffled([...Array(all.count).keys()], new Random(seed, 1))
  const rest = order.slice(TEST_ROWS)
  const shards = distribution === 'IID' ? clients : clients * SHARDS_A_CLIENT
  const arranged = distribution === 'IID' ? rest : rest.toSorted((a, b) => (all.y[a] ?? 0) - (all.y[b] ?? 0))
  const parts = Array.from({ length: shards }, (_, index) =>
    arranged.slice(
      Math.floor((index * rest.length) / shards),
      Math.floor(((index + 1) * rest.length) / shards),
    ),
  )
  const dealt = shuffled(parts, new Random(seed, 2))
  const each = shards / clients
  return {
    all,
    test: order.slice(0, TEST_ROWS),
    clients: Array.from({ length: clients }, (_, index) =>
      dealt.slice(index * each, (index + 1) * each).flat(),
    ),
  }
}

/** The rows of these numbers. */
export function rowsOf({ all }: Digits, rows: readonly number[]): Samples {
  const x = new Float32Array(rows.length * PIXELS)
  for (const [index, row] of rows.entries())
    x.set(all.x.subarray(row * PIXELS, (row + 1) * PIXELS), index * PIXELS)
  return { x, y: Int32Array.from(rows, (row) => all.y[row] ?? 0), count: rows.length }
}

function readAll(): Samples {
  const lines = readLines(FILE, 'no header')
  const x = new Float32Array(lines.length * PIXELS)
  const y = new Int32Array(lines.length)
  for (const [index, line] of lines.entries()) {
    const cells = line.split(',').map(Number)
    y[index] = cells.pop() ?? 0
    x.set(
      cells.map((grey) => grey / BRIGHTEST),
      index * PIXELS,
    )
  }
  return { x, y, count: lines.length }
}
