// Merging on one thread: processor seconds of FedAvg against Flower, NVFlare and a fused sum in C, and of the robust
// strategies against Flower and ByzFL. Contenders take turns; the best of each counts.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { row, type Row } from '../rows.ts'
import { bestOf, Driver } from './driver.ts'
import { spoolUpdates } from './inputs.ts'
import { ourProgram } from './program.ts'

export interface MergingOptions {
  readonly python: string
  /** For the spooled updates and the compiled sum. */
  readonly folder: string
  readonly rounds: number
}

const HERE = import.meta.dirname
const FED_AVG = '{"type":"FedAvg"}'
const AVERAGE = { updates: 25, values: 10_000_000 }
const ROBUST = { updates: 50, values: 2_500_000 }

export async function fedAvgRows({ python, folder, rounds }: MergingOptions): Promise<Row[]> {
  const { updates, values } = AVERAGE
  const size = [String(updates), String(values)]
  const fused = join(folder, 'fused')
  await promisify(execFile)('cc', ['-O3', '-march=native', '-ffast-math', '-o', fused, join(HERE, 'fused.c')])
  await spoolUpdates(join(folder, 'average'), { updates, values, distinct: updates })
  const program = await ourProgram(folder)
  const ours = await Driver.start(process.execPath, [program, ...size])
  const files = await Driver.start(process.execPath, [program, ...size, join(folder, 'average')])
  const peers = await Driver.start(python, [join(HERE, 'peers/merge.py'), ...size])
  const limit = await Driver.start(fused, size)
  try {
    const best = await bestOf(rounds, {
      flowerFit: async () => peers.seconds('flowerFit'),
      ours: async () => ours.seconds(FED_AVG),
      flowerMessages: async () => peers.seconds('flowerMessages'),
      files: async () => files.seconds(FED_AVG),
      nvflare: async () => peers.seconds('nvflare'),
      fused: async () => limit.seconds('sum'),
    })
    return averageRows(best, (updates * values * 4) / 1e9)
  } finally {
    await Promise.all([ours, files, peers, limit].map(async (driver) => driver.stop()))
  }
}

function averageRows(best: Readonly<Record<string, number>>, gigabytes: number): Row[] {
  const perGigabyte = (name: string): number => (best[name] ?? Number.NaN) / gigabytes
  const against = (name: string, peer: string, goal: number): Row[] =>
    [
      { where: 'in memory', own: perGigabyte('ours') },
      { where: 'from spooled files, the peer in memory', own: perGigabyte('files') },
    ].map(({ where, own }) =>
      row({
        name: `FedAvg of 25 × 40 MB, ${where}, against ${peer}`,
        value: perGigabyte(name) / own,
        goal,
        note: `${figure(own)} against ${figure(perGigabyte(name))} processor seconds a GB`,
      }),
    )
  return [
    ...against('flowerFit', 'Flower FedAvg.aggregate_fit (in place)', 15),
    ...against('flowerMessages', 'Flower aggregate_arrayrecords', 5),
    ...against('nvflare', 'NVFlare WeightedAggregationHelper', 3),
    ...against('fused', 'a sum in C of 8 float32 updates a pass, built for this processor', 0.8),
  ]
}

const figure = (seconds: number): string => seconds.toPrecision(3)

interface Contest {
  readonly name: string
  readonly ours: string
  readonly peer: string
  readonly peerName: string
  readonly goal: number
}

const BYZANTINE = ROBUST.updates / 5
const trimmedMean = JSON.stringify({ type: 'TrimmedMean', trimmed: BYZANTINE })
const CONTESTS: readonly Contest[] = [
  { name: 'median', ours: '{"type":"Median"}', peer: 'flowerMedian', peerName: 'Flower', goal: 6 },
  { name: 'median', ours: '{"type":"Median"}', peer: 'byzflMedian', peerName: 'ByzFL', goal: 6 },
  { name: 'trimmed mean', ours: trimmedMean, peer: 'flowerTrimmedMean', peerName: 'Flower', goal: 6 },
  { name: 'trimmed mean', ours: trimmedMean, peer: 'byzflTrimmedMean', peerName: 'ByzFL', goal: 6 },
  {
    ...{ name: 'Krum', peer: 'flowerKrum', peerName: 'Flower', goal: 30 },
    ours: JSON.stringify({ type: 'Krum', byzantine: BYZANTINE }),
  },
  {
    ...{ name: 'Multi-Krum', peer: 'flowerMultiKrum', peerName: 'Flower', goal: 30 },
    ours: JSON.stringify({ type: 'MultiKrum', byzantine: BYZANTINE, selected: ROBUST.updates - BYZANTINE }),
  },
  {
    ...{ name: 'geometric median', peer: 'byzflGeometricMedian', peerName: 'ByzFL (32 steps)', goal: 5 },
    ours: '{"type":"GeometricMedian","maxIterations":32}',
  },
]

export async function robustRows({ python, folder, rounds }: MergingOptions): Promise<Row[]> {
  const size = [String(ROBUST.updates), String(ROBUST.values)]
  const ours = await Driver.start(process.execPath, [await ourProgram(folder), ...size])
  const peers = await Driver.start(python, [join(HERE, 'peers/merge.py'), ...size])
  try {
    const own: Record<string, () => Promise<number>> = {}
    const others: Record<string, () => Promise<number>> = {}
    for (const contest of CONTESTS) {
      own[contest.ours] = async () => ours.seconds(contest.ours)
      others[contest.peer] = async () => peers.seconds(contest.peer)
    }
    // A slow peer decides how often all take turns: Krum in Python takes many seconds.
    const best = await bestOf(rounds, own)
    const theirs = await bestOf(Math.max(1, Math.floor(rounds / 3)), others)
    return CONTESTS.map(({ name, ours: job, peer, peerName, goal }) => {
      const [mine, other] = [best[job] ?? Number.NaN, theirs[peer] ?? Number.NaN]
      return row({
        name: `${name} of 50 × 10 MB against ${peerName}`,
        value: other / mine,
        goal,
        note: `${figure(mine)} against ${figure(other)} processor seconds`,
      })
    })
  } finally {
    await Promise.all([ours.stop(), peers.stop()])
  }
}
