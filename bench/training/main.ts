// Training steps of LocalTrainer against PyTorch on the CPU: eager with its best optimiser, and compiled where that
// works in time. Both sides run as processes of their own and take turns, so that they meet the same load; a figure is
// the best of the rounds, as many as the time allows. One thread is measured in processor time, two threads by the
// wall clock, memory at its peak in processes that train nothing else.
//   node bench/training/main.ts [--models 2nn,cnn] [--rounds 9] [--seconds 330] [--threads 1,2] [--no-compile]
//     [--out FILE]
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { convolutionalNetwork, twoLayerNetwork } from '../models.ts'
import { peerPython, readRequirements } from '../peers.ts'
import { inWords, report, type Row } from '../rows.ts'
import { Contender } from './contender.ts'
import { type Case, compareMemory, type Pair, race, type Rules } from './race.ts'

/** Steps of an epoch at batch 10, by what they take, so that a round takes about as long for each; at 50 half of it. */
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
/** Models made here; PyTorch exports the others. */
const OWN_MODELS: Readonly<Record<string, (seed: number) => Uint8Array>> = {
  '2nn': twoLayerNetwork,
  cnn: convolutionalNetwork,
}
/** torch.compile takes up to a minute for each: for one batch of the models that matter most. */
const COMPILED = ['2nn', 'cnn', 'transformer']
const COMPILE_SECONDS = 60
const LIMIT_SECONDS = 120
/** For a case, when those before it used up the time of all. */
const LEAST_SECONDS = 1

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: Object.keys(STEPS).join() },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '330' },
    threads: { type: 'string', default: '1,2' },
    compile: { type: 'boolean', default: true },
    out: { type: 'string' },
  },
  allowNegative: true,
})
const models = options.models.split(',').filter((name) => name in STEPS)
const python = await peerPython(await readRequirements(new URL('requirements.txt', import.meta.url)))
const WORKER = new URL('worker.ts', import.meta.url).pathname
const PEER = new URL('peer.py', import.meta.url).pathname
const folder = await mkdtemp(join(tmpdir(), 'tributary-bench-training-'))
const fileOf = (model: string): string => join(folder, `${model}.onnx`)

function newPair(threads: number): Pair {
  return {
    ours: new Contender(process.execPath, [WORKER, String(threads)]),
    peer: new Contender(python, [PEER, String(threads)]),
  }
}

async function withPair<T>(threads: number, use: (pair: Pair) => Promise<T>): Promise<T> {
  const pair = newPair(threads)
  try {
    return await use(pair)
  } finally {
    pair.ours.close()
    pair.peer.close()
  }
}

/** Goals of the issue: faster everywhere, and by so much on McMahan's models by SGD. */
function goalOf({ model, optimizer, batch, threads }: Case): number {
  if (optimizer === 'SGD' && model === '2nn' && batch === 10 && threads === 1) return 4
  if (optimizer === 'SGD' && model === 'cnn') return threads === 1 ? 1.3 : 1.5
  return 1
}

function rulesFor(each: Case, seconds: number): Rules {
  const steps = STEPS[each.model] ?? 20
  return {
    file: fileOf(each.model),
    steps: each.batch > 10 ? Math.ceil(steps / 2) : steps,
    ways: ['eager', 'eager fused'],
    peer: 'PyTorch eager',
    rounds: Number(options.rounds),
    seconds,
    limitSeconds: LIMIT_SECONDS,
    goal: goalOf(each),
  }
}

function told(row: Row): Row {
  process.stderr.write(`${inWords(row)}\n`)
  return row
}

/** Cases one after another in the same two processes; what one leaves of its time is for those after it. */
async function raceAll(cases: readonly Case[]): Promise<Row[]> {
  const rows: Row[] = []
  const end = performance.now() + Number(options.seconds) * 1000
  for (const threads of new Set(cases.map((each) => each.threads))) {
    await withPair(threads, async (pair) => {
      for (const each of cases.filter((one) => one.threads === threads)) {
        const left = (end - performance.now()) / 1000 / (cases.length - rows.length)
        const seconds = Math.max(left, LEAST_SECONDS)
        rows.push(told(await race(pair, each, rulesFor(each, seconds))))
      }
    })
  }
  return rows
}

async function raceCompiled(each: Case): Promise<Row> {
  const rules: Rules = {
    ...rulesFor(each, 5),
    ways: ['compiled'],
    peer: 'torch.compile',
    limitSeconds: COMPILE_SECONDS,
    goal: 1,
  }
  return told(await withPair(each.threads, (pair) => race(pair, each, rules)))
}

async function exportModels(): Promise<string> {
  return await withPair(1, async ({ peer }) => {
    for (const model of models) {
      const own = OWN_MODELS[model]
      if (own) await writeFile(fileOf(model), own(1))
      else await peer.ask({ do: 'export', model, file: fileOf(model) }, LIMIT_SECONDS)
    }
    return await peer.version()
  })
}

const cases = options.threads
  .split(',')
  .map(Number)
  .flatMap((threads) =>
    models.flatMap((model) =>
      (['SGD', 'Adam'] as const).flatMap((optimizer) =>
        [10, 50].map((batch): Case => ({ model, optimizer, batch, threads })),
      ),
    ),
  )
const oneThread = cases.filter(({ threads }) => threads === 1)
const forCompiled = oneThread.filter(({ model, optimizer, batch }) => {
  return options.compile && COMPILED.includes(model) && optimizer === 'SGD' && batch === 10
})
const forMemory = oneThread.filter(({ model, batch }) => model in OWN_MODELS && batch === 50)

try {
  const torch = await exportModels()
  const rows = await raceAll(cases)
  for (const each of forCompiled) rows.push(await raceCompiled(each))
  for (const each of forMemory) {
    rows.push(told(await withPair(1, (pair) => compareMemory(pair, each, rulesFor(each, 0)))))
  }
  report({ rows, versions: { torch } })
} finally {
  await rm(folder, { recursive: true, force: true })
}
