/*
 * What the examples' `prepare` functions have in common: one folder a node with the samples that lie on it, and
 * a test set for the whole that no node has. The same request always writes the same bytes.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import type { Random } from '#federation/training/random.ts'

export interface PrepareRequest {
  /** Names of the edge nodes; each gets a folder. */
  readonly nodes: readonly string[]
  readonly outDir: string
  /** Decides what is held out as the test set, and for digits which node has which. */
  readonly seed: number
}

export interface PreparedFile {
  readonly path: string
  readonly rows: number
}

export interface PreparedData {
  /** By node name, in the order of the request. */
  readonly nodes: ReadonlyMap<string, PreparedFile>
  readonly test: PreparedFile
}

/** Name of the data file in a node's folder. */
export const SAMPLES_FILE = 'samples.csv'

const MAXIMUM_BYTES = 64 * 1024 * 1024

/** Lines of a plain or gzip-compressed text file, without the header line if `header` says there is one. */
export function readLines(path: string, header: 'with header' | 'no header'): string[] {
  const bytes = readFileSync(path)
  const text = path.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: MAXIMUM_BYTES }) : bytes
  const lines = text.toString('utf8').trimEnd().split('\n')
  return header === 'with header' ? lines.slice(1) : lines
}

export function writePrepared(
  request: PrepareRequest,
  header: string,
  rows: { readonly test: readonly string[]; readonly nodes: readonly (readonly string[])[] },
): PreparedData {
  const write = (path: string, lines: readonly string[]): PreparedFile => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, [header, ...lines, ''].join('\n'))
    return { path, rows: lines.length }
  }
  const nodes = request.nodes.map((node, index) => {
    const file = write(join(request.outDir, node, SAMPLES_FILE), rows.nodes[index] ?? [])
    return [node, file] as const
  })
  return { nodes: new Map(nodes), test: write(join(request.outDir, 'test.csv'), rows.test) }
}

/** The items in an order that the random numbers decide. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = Uint32Array.from(items.keys())
  random.shuffle(order)
  return Array.from(order, (place) => items[place] as T)
}

export function checkNodes(nodes: readonly string[]): void {
  for (const [index, node] of nodes.entries()) {
    if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(node)) {
      throw new RangeError(`node ${JSON.stringify(node)}: expected the name of a Kubernetes node`)
    }
    if (nodes.indexOf(node) !== index)
      throw new RangeError(`node ${node} is named twice; expected each name once`)
  }
}

/** For the command line: `node examples/<example>/prepare.ts <folder> <node>…`. */
export function prepareFromCommandLine(prepare: (request: PrepareRequest) => PreparedData): void {
  const [outDir, ...nodes] = process.argv.slice(2)
  if (outDir === undefined || nodes.length === 0) {
    process.stderr.write(`usage: node examples/${exampleName()}/prepare.ts <folder> <node> [<node> …]\n`)
    process.exitCode = 2
    return
  }
  const prepared = prepare({ nodes, outDir, seed: 1 })
  for (const { path, rows } of [...prepared.nodes.values(), prepared.test]) {
    process.stdout.write(`${path}: ${rows} rows\n`)
  }
}

function exampleName(): string {
  return basename(dirname(process.argv[1] ?? ''))
}
