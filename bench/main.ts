/*
 * Runs the benchmarks one after another, each as a process of its own, and writes docs/performance.json,
 * docs/performance.md and their plots.
 *
 *   node bench/main.ts [bench/<name> …]      all of them unless told which
 *   node bench/main.ts --collect FOLDER      runs none, takes FOLDER/<name>.json that each wrote with --out
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'

import { markdown } from './report/markdown.ts'
import { type Measured, Performance, withMeasured } from './report/performance.ts'
import { machine, ownVersions } from './report/surroundings.ts'
import { bars, lines } from './report/svg.ts'
import { Result } from './rows.ts'

const HERE = import.meta.dirname
const DOCS = join(HERE, '../docs')
const JSON_FILE = join(DOCS, 'performance.json')
const PLOTS = join(DOCS, 'performance')

/** In the order in which they run. */
const ABOUT: Readonly<Record<string, string>> = {
  training:
    'A training step and local epochs against PyTorch on the CPU, eager and compiled. Two threads are measured by the wall clock, which says something only on a machine that does nothing else: PyTorch waits for a thread that does not get its core, ours sleep. Where it falls short: three quarters of a step of the 2NN at batches of 10 are matrix products, so that without any other cost it would be about three times as fast; a second thread makes a step of the CNN about 1.3 times as fast where PyTorch gains 1.7; an LSTM over 96 steps is some 1,900 nodes, most of which, at batches of 10, take longer to begin than to compute; in McMahan’s CNN two thirds of the multiplications are saved, but what transforms the tiles moves memory, and the fully connected layer costs the same on both sides.',
  aggregation:
    'Merging updates: processor time, memory, and the path from the socket to the merged model. Where it falls short: the sum in C, the limit, is itself about ten times faster than Flower here; files add the copy out of the page cache, 0.055 processor seconds a GB, while the peers have their inputs in memory; Krum compares in float64, whose products alone, at the rate of the registers, take longer than a thirtieth of Flower’s time; a trimmed mean sorts with the loads and stores of its comparators, which alone take ByzFL’s sixth; on the wire TLS in Node.js and the digest of every update cost more than merging saves.',
  bytes: 'What an update and a new version weigh on the wire, measured on real trainings.',
  accuracy: 'Accuracy by round on real digits, the same split and seeds on both sides.',
  asynchronous: 'Buffered asynchronous rounds against synchronous ones, with simulated stragglers.',
  round:
    'A round in which nobody trains: what the machinery itself costs. Ours encrypts, takes a digest of everything and puts every update on the disk; what is left is mostly garbage of TLS pieces and SHA-256.',
  idle: 'What an edge process holds in memory while nothing happens. Node.js by itself takes about half of it.',
  image: 'What a node must download before it can train.',
  informer: "The operator's view of a large fleet.",
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { collect: { type: 'string' } },
})
const wanted = positionals.map((path) => basename(path))
const present = readdirSync(HERE).filter((name) => existsSync(join(HERE, name, 'main.ts')))
for (const name of wanted) {
  if (!present.includes(name)) throw new Error(`bench/${name}: there are ${present.sort().join(', ')}`)
}
const order = [...Object.keys(ABOUT), ...present].filter((name, index, all) => all.indexOf(name) === index)
const names = order.filter((name) => present.includes(name) && (wanted.length === 0 || wanted.includes(name)))

const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-'))
const measured: Measured[] = []
const failed: string[] = []
try {
  for (const name of names) {
    const result = values.collect === undefined ? run(name) : read(join(values.collect, `${name}.json`))
    if (result) measured.push({ name, result })
    else if (values.collect === undefined) failed.push(name)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
write(withMeasured(known(), measured, surroundings()))
if (failed.length > 0) {
  process.stderr.write(`failed, and kept as they were: ${failed.join(', ')}\n`)
  process.exitCode = 1
}

function run(name: string): Result | undefined {
  process.stdout.write(`\n=== bench/${name}\n`)
  const out = join(folder, `${name}.json`)
  const args = ['--expose-gc', join(HERE, name, 'main.ts'), '--out', out]
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  return status === 0 ? read(out) : undefined
}

function read(path: string): Result | undefined {
  return existsSync(path) ? Result.parse(JSON.parse(readFileSync(path, 'utf8'))) : undefined
}

function known(): Performance | undefined {
  return existsSync(JSON_FILE) ? Performance.parse(JSON.parse(readFileSync(JSON_FILE, 'utf8'))) : undefined
}

function surroundings() {
  return {
    machine: machine(),
    versions: ownVersions(['onnxruntime-node', '@grpc/grpc-js']),
    command:
      values.collect === undefined
        ? 'make bench'
        : 'node bench/<name>/main.ts --out FOLDER/<name>.json, two at a time; node bench/main.ts --collect FOLDER',
    date: new Date().toISOString().slice(0, 10),
  }
}

function write(performance: Performance): void {
  mkdirSync(PLOTS, { recursive: true })
  writeFileSync(JSON_FILE, `${JSON.stringify(performance, null, 2)}\n`)
  writeFileSync(join(DOCS, 'performance.md'), markdown(performance, ABOUT))
  for (const { name, rows, plots } of performance.benchmarks) {
    if (rows.length > 0) writeFileSync(join(PLOTS, `${name}.svg`), bars(name, rows))
    for (const [index, plot] of plots.entries()) {
      writeFileSync(join(PLOTS, `${name}-${index + 1}.svg`), lines(plot))
    }
  }
}
