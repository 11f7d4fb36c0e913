// What merging costs, side by side with the frameworks that people merge with today; see README of federation/aggregation.
//   node bench/aggregation/main.ts [--out FILE] [--rounds 9] [--only fedAvg,robust,memory,wire,latency]
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { peerPython, readRequirements } from '../peers.ts'
import { inWords, report, type Row } from '../rows.ts'
import { memoryRows } from './memory.ts'
import { fedAvgRows, robustRows, type MergingOptions } from './merging.ts'
import { latencyRows } from './latency.ts'
import { wireRows } from './wire.ts'

const PARTS: Readonly<Record<string, (options: MergingOptions) => Promise<Row[]>>> = {
  fedAvg: fedAvgRows,
  robust: robustRows,
  memory: memoryRows,
  wire: wireRows,
  latency: latencyRows,
}

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    rounds: { type: 'string', default: '9' },
    only: { type: 'string', default: Object.keys(PARTS).join(',') },
  },
})
const requirements = await readRequirements(new URL('peers/requirements.txt', import.meta.url))
const python = await peerPython(requirements)
// On a disk, not in memory: spooled updates are what the hub has on its volume.
const state = join(import.meta.dirname, '../../.tributary')
await mkdir(state, { recursive: true })
const folder = await mkdtemp(join(state, 'bench-'))
try {
  const rows: Row[] = []
  for (const name of values.only.split(',')) {
    const part = PARTS[name]
    if (!part) throw new Error(`--only ${name}: one of ${Object.keys(PARTS).join(', ')} is right`)
    process.stderr.write(`${name} …\n`)
    const measured = await part({ python, folder, rounds: Number(values.rounds) })
    for (const one of measured) process.stderr.write(`  ${inWords(one)}\n`)
    rows.push(...measured)
  }
  const versions = Object.fromEntries(requirements.map((line) => line.split('==') as [string, string]))
  report({ rows, versions })
} finally {
  await rm(folder, { recursive: true, force: true })
}
