// Memory of a merge: the highest resident set of the process that merges, while it merges from spooled files. Ours is
// measured for every strategy with 25 and with 200 updates; Flower holds all updates, so it is asked only when the machine
// has the memory for it.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StrategyConfigurationInput, StrategyType } from '#federation/aggregation/configuration.ts'
import { row, type Row } from '../rows.ts'
import { Driver } from './driver.ts'
import { spoolUpdates } from './inputs.ts'
import type { MergingOptions } from './merging.ts'

const HERE = import.meta.dirname
const FEW = 25
const MANY = 200
const LARGE = 10_000_000
/** Small enough that all strategies end in minutes; working memory does not depend on it beyond 65,536 values. */
const SMALL = 500_000
const REPEATS = 3

/** Every strategy, with what it cannot do without for 25 updates and more. */
const STRATEGIES: { readonly [Type in StrategyType]: StrategyConfigurationInput & { type: Type } } = {
  FedAvg: { type: 'FedAvg' },
  FedAvgM: { type: 'FedAvgM' },
  FedAdagrad: { type: 'FedAdagrad' },
  FedAdam: { type: 'FedAdam' },
  FedYogi: { type: 'FedYogi' },
  FedProx: { type: 'FedProx', mu: 0.1 },
  Scaffold: { type: 'Scaffold' },
  FedNova: { type: 'FedNova' },
  QFedAvg: { type: 'QFedAvg', q: 1 },
  FedDyn: { type: 'FedDyn', alpha: 0.1 },
  Median: { type: 'Median' },
  TrimmedMean: { type: 'TrimmedMean', trimmed: 5 },
  Krum: { type: 'Krum', byzantine: 5 },
  MultiKrum: { type: 'MultiKrum', byzantine: 5, selected: 15 },
  Bulyan: { type: 'Bulyan', byzantine: 5 },
  GeometricMedian: { type: 'GeometricMedian' },
  NormClipping: { type: 'NormClipping', byzantine: 5 },
  FedBuff: { type: 'FedBuff' },
}

export async function memoryRows(options: MergingOptions): Promise<Row[]> {
  const large = join(options.folder, 'large')
  const small = join(options.folder, 'small')
  await spoolUpdates(large, { updates: MANY, values: LARGE, distinct: 10 })
  await spoolUpdates(small, { updates: MANY, values: SMALL, distinct: 10 })
  return [...(await againstFlower(options, large)), ...(await everyStrategy(small))]
}

async function merged(
  program: string,
  args: readonly string[],
  job: string,
): Promise<{ peakBytes: number; peakBeforeBytes: number }> {
  const driver = await Driver.start(program, args)
  try {
    const { peakBytes = Number.NaN, peakBeforeBytes = Number.NaN } = await driver.ask(job)
    return { peakBytes, peakBeforeBytes }
  } finally {
    await driver.stop()
  }
}

async function ourPeak(size: readonly [number, number], folder: string, job: string): Promise<number[]> {
  const peaks = await merged(process.execPath, [join(HERE, 'ours.ts'), ...size.map(String), folder], job)
  return [peaks.peakBytes, peaks.peakBytes - peaks.peakBeforeBytes]
}

async function againstFlower({ python }: MergingOptions, folder: string): Promise<Row[]> {
  const [absolute = 0, increase = 0] = await ourPeak([MANY, LARGE], folder, '{"type":"FedAvg"}')
  const updateBytes = MANY * LARGE * 4
  const available = await availableBytes()
  const measured = available > 1.5 * updateBytes
  const script = join(HERE, 'peers/merge.py')
  const flower = measured
    ? (await merged(python, [script, String(MANY), String(LARGE)], 'flowerHolding')).peakBytes
    : updateBytes
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
  const how = measured
    ? 'measured'
    : `the updates alone, all of which it holds; the machine had ${megabytes(available)} to give`
  return [
    { name: 'increase while merging', own: increase },
    { name: 'whole process', own: absolute },
  ].map(({ name, own }) =>
    row({
      name: `peak memory of FedAvg, 200 × 40 MB, against Flower: ${name}`,
      value: flower / own,
      goal: 100,
      note: `${megabytes(own)} against ${megabytes(flower)} (${how})`,
    }),
  )
}

async function everyStrategy(folder: string): Promise<Row[]> {
  const rows: Row[] = []
  for (const [type, configuration] of Object.entries(STRATEGIES)) {
    const job = JSON.stringify(configuration)
    const [few, many] = [await leastPeak(FEW, folder, job), await leastPeak(MANY, folder, job)]
    rows.push(
      row({
        ...{ name: `peak memory of ${type}, 200 updates ÷ 25 updates`, value: many / few, goal: 1.02 },
        direction: 'atMost',
        note: `${(many / 1e6).toFixed(1)} MB against ${(few / 1e6).toFixed(1)} MB, whole process`,
      }),
    )
  }
  return rows
}

async function leastPeak(updates: number, folder: string, job: string): Promise<number> {
  let least = Infinity
  for (let turn = 0; turn < REPEATS; turn++) {
    const [peak = Infinity] = await ourPeak([updates, SMALL], folder, job)
    least = Math.min(least, peak)
  }
  return least
}

async function availableBytes(): Promise<number> {
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]
  return Number(kilobytes ?? 0) * 1024
}
