// Memory of a merge: the highest resident set of the process that merges, while it merges from spooled files. Ours is
// measured for every strategy with 25 and with 200 updates, in a process that has merged small updates before, as a hub has:
// what the runtime takes once, for compiling code and for young objects, is not what is asked about. Flower holds all
// updates, so it is asked only when the machine has the memory for it.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StrategyConfigurationInput, StrategyType } from '#federation/aggregation/configuration.ts'
import { row, type Row } from '../rows.ts'
import { Driver } from './driver.ts'
import { spoolUpdates } from './inputs.ts'
import type { MergingOptions } from './merging.ts'
import { ourProgram } from './program.ts'

const HERE = import.meta.dirname
const FEW = 25
const MANY = 200
const LARGE = 10_000_000
/** Small enough that all strategies end in minutes; working memory does not depend on it beyond 65,536 values. */
const SMALL = 500_000
const REPEATS = 5

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
  const program = await ourProgram(options.folder)
  return [await againstFlower(options, program, large), ...(await everyStrategy(program, small))]
}

/** The highest resident set of a process while it does the last of the jobs. */
async function peakOf(program: string, args: readonly string[], jobs: readonly string[]): Promise<number> {
  const driver = await Driver.start(program, args)
  try {
    for (const job of jobs.slice(0, -1)) await driver.ask(job)
    const { peakBytes = Number.NaN } = await driver.ask(jobs.at(-1) ?? '')
    return peakBytes
  } finally {
    await driver.stop()
  }
}

async function againstFlower({ python }: MergingOptions, program: string, folder: string): Promise<Row> {
  const ours = [program, String(MANY), String(LARGE), folder]
  const peakBytes = await peakOf(process.execPath, ours, ['{"type":"FedAvg"}'])
  const updateBytes = MANY * LARGE * 4
  const available = await availableBytes()
  const measured = available > 1.5 * updateBytes
  const script = join(HERE, 'peers/merge.py')
  const flower = measured
    ? await peakOf(python, [script, String(MANY), String(LARGE)], ['flowerHolding'])
    : updateBytes
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
  const how = measured
    ? 'measured'
    : `the updates alone, all of which it holds; the machine had ${megabytes(available)} to give`
  return row({
    name: 'peak memory of FedAvg, 200 × 40 MB, against Flower, whole processes',
    value: flower / peakBytes,
    goal: 100,
    note: `${megabytes(peakBytes)} against ${megabytes(flower)} (${how})`,
  })
}

async function everyStrategy(program: string, folder: string): Promise<Row[]> {
  const rows: Row[] = []
  for (const [type, configuration] of Object.entries(STRATEGIES)) {
    const job = JSON.stringify(configuration)
    const [few, many] = await usualPeaks(program, folder, job)
    rows.push(
      row({
        ...{ name: `peak memory of ${type}, 200 updates ÷ 25 updates`, value: many / few, goal: 1.02 },
        direction: 'atMost',
        note: `${(many / 1e6).toFixed(1)} MB against ${(few / 1e6).toFixed(1)} MB, whole process, after small merges`,
      }),
    )
  }
  return rows
}

/** Medians with few and with many updates, measured in turn. */
async function usualPeaks(program: string, folder: string, job: string): Promise<[number, number]> {
  const peaks: Record<number, number[]> = { [FEW]: [], [MANY]: [] }
  for (let turn = 0; turn < REPEATS; turn++) {
    for (const [updates, found] of Object.entries(peaks)) {
      const args = [program, updates, String(SMALL), folder]
      found.push(await peakOf(process.execPath, args, [`warm ${job}`, job]))
    }
  }
  return [median(peaks[FEW] ?? []), median(peaks[MANY] ?? [])]
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

async function availableBytes(): Promise<number> {
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]
  return Number(kilobytes ?? 0) * 1024
}
