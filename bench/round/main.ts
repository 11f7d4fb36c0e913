/*
 * What a round costs when nobody trains: two clients, a model of 10 MB, everything as processes on one machine. Ours
 * runs over TLS and puts every update on the disk before it counts; Flower runs without TLS and keeps its state in memory.
 *
 *   node bench/round/main.ts [--rounds 6] [--out FILE]
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { report, row } from '../rows.ts'
import { Flower, type Rounds } from './flower.ts'
import { Tributary } from './tributary.ts'

const VALUES = 2_500_000
/** Ours are so short that more are needed for a steady figure. */
const OURS_A_ROUND_OF_THEIRS = 5

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '6' }, out: { type: 'string' } },
})
const rounds = Number(values.rounds)
const folder = mkdtempSync(join(tmpdir(), 'tributary-round-'))
try {
  const theirs = await measured(Flower.begin(below('flower')), (flower) => flower.run(rounds, VALUES))
  const ours = await measured(Tributary.begin(below('tributary')), (tributary) =>
    tributary.run(rounds * OURS_A_ROUND_OF_THEIRS),
  )
  const wall = [median(theirs.wall), median(ours.wall)] as const
  report({
    rows: [
      row({
        name: 'empty round, 2 clients, 10 MB, wall clock, against Flower',
        value: wall[0] / wall[1],
        goal: 30,
        note: `${wall[1].toFixed(3)} s against ${wall[0].toFixed(2)} s, medians of ${ours.wall.length} and ${theirs.wall.length} rounds`,
      }),
      row({
        name: 'empty round, 2 clients, 10 MB, processor time of all processes, against Flower',
        value: theirs.cpu / ours.cpu,
        goal: 30,
        note: `${ours.cpu.toFixed(3)} s against ${theirs.cpu.toFixed(2)} s a round`,
      }),
    ],
    versions: { flwr: '1.42.0' },
  })
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function measured<Side extends { end: () => Promise<void> }>(
  beginning: Promise<Side>,
  run: (side: Side) => Promise<Rounds>,
): Promise<Rounds> {
  const side = await beginning
  try {
    return await run(side)
  } finally {
    await side.end()
  }
}

function below(name: string): string {
  const path = join(folder, name)
  mkdirSync(path)
  return path
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}
