/*
 * Runs the fault campaigns one after another, each as a process of its own, and writes docs/reliability.json and
 * docs/reliability.md.
 *
 *   node e2e/faults/main.ts [e2e/faults/<part> …]   all of them unless told which
 *   node e2e/faults/main.ts --collect FOLDER        runs none, takes FOLDER/<part>.json that each wrote with --out
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { machine, ownVersions } from '#bench/report/surroundings.ts'
import { markdown } from './report/markdown.ts'
import { Fragment, Reliability, type Shown, withShown } from './report/reliability.ts'

const HERE = import.meta.dirname
const DOCS = join(HERE, '../../docs')
const JSON_FILE = join(DOCS, 'reliability.json')

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { collect: { type: 'string' } },
})
const wanted = positionals.map((path) => basename(path))
const present = readdirSync(HERE)
  .filter((name) => existsSync(join(HERE, name, 'main.ts')))
  .sort()
for (const name of wanted) {
  if (!present.includes(name)) throw new Error(`e2e/faults/${name}: there are ${present.join(', ')}`)
}

const folder = mkdtempSync(join(tmpdir(), 'tributary-faults-'))
const shown: Shown[] = []
const failed: string[] = []
try {
  for (const name of present.filter((each) => wanted.length === 0 || wanted.includes(each))) {
    const fragment = values.collect === undefined ? run(name) : read(join(values.collect, `${name}.json`))
    if (fragment) shown.push({ name, fragment })
    else if (values.collect === undefined) failed.push(name)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const reliability = withShown(known(), shown, {
  machine: machine(),
  versions: ownVersions(['@kubernetes/client-node', '@grpc/grpc-js']),
  command: 'make faults',
  date: new Date().toISOString().slice(0, 10),
})
writeFileSync(JSON_FILE, `${JSON.stringify(reliability, null, 2)}\n`)
writeFileSync(join(DOCS, 'reliability.md'), markdown(reliability))
if (failed.length > 0) process.stderr.write(`failed, and kept as they were: ${failed.join(', ')}\n`)
if (failed.length > 0 || shown.some(({ fragment }) => fragment.rows.some((row) => !row.reached)))
  process.exitCode = 1

function run(name: string): Fragment | undefined {
  process.stdout.write(`\n=== e2e/faults/${name}\n`)
  const out = join(folder, `${name}.json`)
  spawnSync(process.execPath, [join(HERE, name, 'main.ts'), '--out', out], { stdio: 'inherit' })
  return read(out)
}

function read(path: string): Fragment | undefined {
  return existsSync(path) ? Fragment.parse(JSON.parse(readFileSync(path, 'utf8'))) : undefined
}

function known(): Reliability | undefined {
  return existsSync(JSON_FILE) ? Reliability.parse(JSON.parse(readFileSync(JSON_FILE, 'utf8'))) : undefined
}
