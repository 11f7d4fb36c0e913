// Training steps of LocalTrainer against PyTorch on the CPU: eager with its best optimiser, and compiled where that
// works. Both sides run as processes of their own and take turns, so that they meet the same load; a figure is the
// best of the rounds. One thread is measured in processor time, two threads by the wall clock, memory at its peak in
// processes that train nothing else.
//   node bench/training/main.ts [--models 2nn,cnn] [--rounds 9] [--threads 1,2] [--no-compile] [--out FILE]
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { peerPython, readRequirements } from '../peers.ts'
import { report, type Row, row } from '../rows.ts'
import { Contender, type Measured } from './contender.ts'

/** By what a step of PyTorch takes, so that a round takes about as long for each. */
const STEPS: Readonly<Record<string, number>> = {
  '2nn': 200,
  cnn: 20,
  resnet: 20,
  mobilenet: 20,
  'lstm-12': 100,
  'lstm-96': 40,
  gru: 100,
  tcn: 60,
  transformer: 60,
}

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: Object.keys(STEPS).join() },
    rounds: { type: 'string', default: '9' },
    threads: { type: 'string', default: '1,2' },
    compile: { type: 'boolean', default: true },
    out: { type: 'string' },
  },
  allowNegative: true,
})
const models = options.models.split(',').filter((name) => name in STEPS)
const rounds = Number(options.rounds)

const python = await peerPython(await readRequirements(new URL('requirements.txt', import.meta.url)))
const PEER = new URL('peer.py', import.meta.url).pathname
const WORKER = new URL('worker.ts', import.meta.url).pathname
const folder = await mkdtemp(join(tmpdir(), 'tributary-bench-training-'))

interface Pair {
  ours: Contender
  peer: Contender
  version: string
}

interface Case {
  model: string
  optimizer: 'SGD' | 'Adam'
  batch: number
}

async function start(threads: number): Promise<Pair> {
  const ours = new Contender(process.execPath, [WORKER, String(threads)])
  const peer = new Contender(python, [PEER, String(threads)])
  await ours.ready()
  return { ours, peer, version: await peer.ready() }
}

function stop({ ours, peer }: Pair): void {
  ours.close()
  peer.close()
}

const best = (a: Measured | undefined, b: Measured): Measured => ({
  cpu: Math.min(a?.cpu ?? Infinity, b.cpu),
  wall: Math.min(a?.wall ?? Infinity, b.wall),
  memory: b.memory,
})

/** Best of the rounds, ours and each way of the peer's; a way that does not work is left out. */
async function compare(pair: Pair, each: Case, ways: readonly string[]): Promise<Map<string, Measured>> {
  const steps = STEPS[each.model] ?? 20
  const results = new Map<string, Measured>()
  const failed = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    const ours = await pair.ours.measure({ ...each, file: join(folder, `${each.model}.onnx`), steps })
    results.set('ours', best(results.get('ours'), ours))
    for (const way of ways.filter((name) => !failed.has(name))) {
      try {
        results.set(way, best(results.get(way), await pair.peer.measure({ ...each, way, steps })))
      } catch (error) {
        failed.add(way)
        process.stderr.write(`${each.model}, ${way}: ${error instanceof Error ? error.message : ''}\n`)
      }
    }
  }
  return results
}

/** Goals of the issue: faster everywhere, and by so much on McMahan's models by SGD. */
function goalOf({ model, optimizer, batch }: Case, threads: number): number {
  if (optimizer === 'SGD' && model === '2nn' && batch === 10 && threads === 1) return 4
  if (optimizer === 'SGD' && model === 'cnn') return threads === 1 ? 1.3 : 1.5
  return 1
}

function rowsOf(each: Case, threads: number, results: ReadonlyMap<string, Measured>): Row[] {
  const time = threads === 1 ? 'cpu' : 'wall'
  const ours = results.get('ours')
  const of = (ways: readonly string[]): number =>
    Math.min(...ways.map((way) => results.get(way)?.[time] ?? Infinity))
  const contenders = [
    { peer: 'PyTorch eager', seconds: of(['eager', 'eager fused']) },
    { peer: 'torch.compile', seconds: of(['compiled', 'compiled fused']) },
  ]
  return contenders
    .filter(({ seconds }) => ours && Number.isFinite(seconds))
    .map(({ peer, seconds }) => {
      const mine = ours?.[time] ?? NaN
      return row({
        name: `${each.model}, ${each.optimizer}, batch ${each.batch}, ${threads} thread${threads > 1 ? 's' : ''} against ${peer}`,
        value: seconds / mine,
        goal: peer === 'PyTorch eager' ? goalOf(each, threads) : 1,
        note: `${milliseconds(mine)} against ${milliseconds(seconds)} ms a step (${time === 'cpu' ? 'processor' : 'wall'}); load ${loadavg()[0]?.toFixed(1)}`,
      })
    })
}

const milliseconds = (seconds: number): string => (seconds * 1000).toPrecision(3)

/** Peak memory of processes that train one model only, interpreter and libraries included. */
async function memoryRow(each: Case): Promise<Row> {
  const pair = await start(1)
  const file = join(folder, `${each.model}.onnx`)
  const ours = await pair.ours.measure({ ...each, file, steps: 40 })
  const peer = await pair.peer.measure({ ...each, way: 'eager', steps: 40 })
  stop(pair)
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0)
  return row({
    name: `peak memory, ${each.model}, ${each.optimizer}, batch ${each.batch}, PyTorch's by ours`,
    value: peer.memory / ours.memory,
    goal: 2,
    note: `${megabytes(ours.memory)} against ${megabytes(peer.memory)} MB`,
  })
}

/** Every combination, one after another in the same two processes. */
async function compareAll(threads: number): Promise<Row[]> {
  const pair = await start(threads)
  const ways = ['eager', 'eager fused', ...(options.compile && threads === 1 ? ['compiled'] : [])]
  const rows: Row[] = []
  for (const each of cases) {
    const measured = rowsOf(each, threads, await compare(pair, each, ways))
    for (const { name, value, note } of measured) {
      process.stderr.write(`${name}: ${value?.toFixed(2)} (${note})\n`)
    }
    rows.push(...measured)
  }
  stop(pair)
  return rows
}

async function exportModels(): Promise<string> {
  const pair = await start(1)
  for (const model of models)
    await pair.peer.ask({ do: 'export', model, file: join(folder, `${model}.onnx`) })
  stop(pair)
  return pair.version
}

const cases: Case[] = models.flatMap((model) =>
  (['SGD', 'Adam'] as const).flatMap((optimizer) => [10, 50].map((batch) => ({ model, optimizer, batch }))),
)
const mcMahans = cases.filter(({ model, batch }) => (model === '2nn' || model === 'cnn') && batch === 50)

try {
  const torch = await exportModels()
  const rows: Row[] = []
  for (const threads of options.threads.split(',')) rows.push(...(await compareAll(Number(threads))))
  for (const each of mcMahans) rows.push(await memoryRow(each))
  report({ rows, versions: { torch } })
} finally {
  await rm(folder, { recursive: true, force: true })
}
