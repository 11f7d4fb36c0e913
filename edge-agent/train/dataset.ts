// The node's data set as the trainer wants it: read once, checked against the compiled model, and split into what is
// trained on and what is held out. The split depends on nothing but the rows and the campaign's seed.
import { isAbsolute, normalize, relative } from 'node:path'

import { z } from 'zod'

import { type Samples, type TrainingManifest } from '#federation/training/index.ts'
import { Random } from '#federation/training/random.ts'
import { HoldoutSplit } from '#federation/wire/generated/tributary.ts'

import { type Table, readTable } from './csv.ts'
import { TrainingFailure } from './failures.ts'

export const DatasetConfiguration = z.strictObject({
  /** The file in the pod. */
  path: z.string().regex(/^\/.+\.csv(\.gz)?$/, 'expected an absolute path that ends in .csv or .csv.gz'),
  labelColumns: z.array(z.string().min(1).max(256)).min(1).max(1024),
  /** Of the file once decompressed. */
  maximumBytes: z
    .int()
    .min(1)
    .default(4 * 1024 ** 3),
  maximumRows: z.int().min(1).default(50_000_000),
})
export type DatasetConfiguration = z.infer<typeof DatasetConfiguration>

export interface Split {
  readonly fraction: number
  readonly kind: HoldoutSplit
  readonly seed: number
}

export interface SplitSamples {
  readonly training: Samples
  /** May be empty: count 0. */
  readonly heldOut: Samples
}

const HOLDOUT_STREAM = 0x686f6c64

/** @param json the value of TRIBUTARY_DATASET  @param dataFolder the only folder that data may lie in */
export function readDatasetConfiguration(json: string, dataFolder: string): DatasetConfiguration {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw new TrainingFailure('DatasetUnreadable', 'data set configuration: expected a JSON object')
  }
  const result = DatasetConfiguration.safeParse(value)
  if (!result.success) {
    throw new TrainingFailure('DatasetUnreadable', `data set configuration: ${z.prettifyError(result.error)}`)
  }
  const inside = relative(dataFolder, normalize(result.data.path))
  if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) {
    const { path } = result.data
    throw new TrainingFailure(
      'DatasetUnreadable',
      `data set configuration: path ${path} is not in ${dataFolder}`,
    )
  }
  return result.data
}

export async function readDataset(configuration: DatasetConfiguration): Promise<Table> {
  return await readTable(configuration.path, configuration.labelColumns, configuration)
}

/** Refuses a table whose shape or labels the model cannot learn from. */
export function toSamples(table: Table, manifest: TrainingManifest): Samples {
  checkWidth(table, 'feature', table.featureColumns, manifest.input.shape)
  checkWidth(table, 'label', table.labelColumns, manifest.label.shape)
  if (table.rows === 0) throw mismatch(table, 'it has no rows; expected at least one')
  const { labels } = table
  const wrong = labels.findIndex((label) => !isLabel(label, manifest))
  if (wrong >= 0) {
    const row = Math.floor(wrong / table.labelColumns.length) + 1
    const column = JSON.stringify(table.labelColumns[wrong % table.labelColumns.length])
    const where = `row ${row}, label column ${column}`
    const expected = expectedLabel(manifest)
    throw mismatch(table, `${where} is not ${expected}`, `${where} is ${labels[wrong]}, expected ${expected}`)
  }
  const y = manifest.label.type === 'int32' ? Int32Array.from(labels) : labels
  return { x: table.features, y, count: table.rows }
}

/** At least one row is trained on; at least one is held out when the fraction is above 0. */
export function splitSamples(samples: Samples, split: Split, path: string): SplitSamples {
  const { count } = samples
  const heldOut = split.fraction > 0 ? Math.max(1, Math.floor(count * split.fraction)) : 0
  if (heldOut >= count) {
    throw new TrainingFailure(
      'DatasetMismatch',
      `data set ${path}: of its ${count} rows ${heldOut} would be held out and none be left to train on`,
    )
  }
  if (split.kind === HoldoutSplit.RANDOM) return splitRandomly(samples, heldOut, split.seed)
  return {
    training: rowsBetween(samples, 0, count - heldOut),
    heldOut: rowsBetween(samples, count - heldOut, count),
  }
}

function splitRandomly(samples: Samples, heldOut: number, seed: number): SplitSamples {
  const order = Uint32Array.from({ length: samples.count }, (_, index) => index)
  new Random(seed, HOLDOUT_STREAM).shuffle(order)
  return {
    training: rowsAt(samples, order.subarray(heldOut).sort()),
    heldOut: rowsAt(samples, order.subarray(0, heldOut).sort()),
  }
}

function rowsBetween({ x, y, count }: Samples, from: number, to: number): Samples {
  const [xSize, ySize] = [x.length / count, y.length / count]
  return {
    x: x.subarray(from * xSize, to * xSize),
    y: y.subarray(from * ySize, to * ySize),
    count: to - from,
  }
}

function rowsAt({ x, y, count }: Samples, rows: Uint32Array): Samples {
  const [xSize, ySize] = [x.length / count, y.length / count]
  const chosen: Samples = {
    x: new Float32Array(rows.length * xSize),
    y: y instanceof Int32Array ? new Int32Array(rows.length * ySize) : new Float32Array(rows.length * ySize),
    count: rows.length,
  }
  for (const [place, row] of rows.entries()) {
    chosen.x.set(x.subarray(row * xSize, (row + 1) * xSize), place * xSize)
    chosen.y.set(y.subarray(row * ySize, (row + 1) * ySize), place * ySize)
  }
  return chosen
}

function checkWidth(table: Table, kind: string, columns: readonly string[], shape: readonly number[]): void {
  const wanted = shape.slice(1).reduce((product, size) => product * size, 1)
  if (columns.length === wanted) return
  const shown = `[${['batch', ...shape.slice(1)].join(', ')}]`
  throw mismatch(
    table,
    `it has ${columns.length} ${kind} columns; the model's ${kind} shape ${shown} needs ${wanted}`,
  )
}

function isLabel(label: number, { loss, label: { type, classes } }: TrainingManifest): boolean {
  if (type === 'int32') return Number.isInteger(label) && label >= 0 && label < (classes ?? 2 ** 24)
  return loss.type !== 'BinaryCrossEntropy' || (label >= 0 && label <= 1)
}

function expectedLabel({ label: { type, classes } }: TrainingManifest): string {
  return type === 'int32' ? `an integer class from 0 to ${(classes ?? 2 ** 24) - 1}` : 'a number from 0 to 1'
}

function mismatch(table: Table, message: string, local?: string): TrainingFailure {
  const prefix = `data set ${table.path}:`
  return new TrainingFailure('DatasetMismatch', `${prefix} ${message}`, local && `${prefix} ${local}`)
}
