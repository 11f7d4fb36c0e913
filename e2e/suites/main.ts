// Runs the suites one after the other, all of them even when one fails, and prints one line over them all at the end.
// The exit code is 0 only when something ran and nothing failed.
import { spawn } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CHECK_LIMIT_MINUTES, CHECKS, PREPARE_LIMIT_MINUTES, SUITES, type VitestSuite } from './suites.ts'
import { add, exitCode, NOTHING, ONE_FAILURE, summary, tallyOfReport, type Tally } from './tally.ts'

const RESULTS = '.tributary/test-results'

interface Outcome {
  readonly suite: string
  readonly tally: Tally
  readonly seconds: number
}

const { values, positionals } = parseArgs({
  options: { check: { type: 'string', multiple: true, default: [] }, path: { type: 'string' } },
  allowPositionals: true,
})
const known = [CHECKS, ...SUITES.map(({ name }) => name)]
const unknown = positionals.filter((name) => !known.includes(name))
if (unknown.length > 0) throw new Error(`no suite ${unknown.join(', ')}: there are ${known.join(', ')}`)
const chosen = positionals.length > 0 ? positionals : known

mkdirSync(RESULTS, { recursive: true })
const outcomes: Outcome[] = []
if (chosen.includes(CHECKS) && values.path === undefined) outcomes.push(await timed(CHECKS, runChecks))
for (const suite of SUITES) {
  if (chosen.includes(suite.name) && hasFiles(suite))
    outcomes.push(await timed(suite.name, () => runVitest(suite)))
}
report(outcomes)

/** Without a path a suite without files is run all the same, to fail: something must have removed its tests. */
function hasFiles({ files }: VitestSuite): boolean {
  const path = values.path
  if (path === undefined) return true
  return globSync(files, { exclude: ['node_modules/**', '.tributary/**'] }).some((file) =>
    file.includes(path),
  )
}

async function timed(suite: string, work: () => Promise<Tally>): Promise<Outcome> {
  const startMs = performance.now()
  const tally = await work()
  return { suite, tally, seconds: Math.round((performance.now() - startMs) / 1000) }
}

async function runChecks(): Promise<Tally> {
  let tally = NOTHING
  for (const check of values.check) {
    title(`make ${check}`)
    const passed = (await run('make', [check], CHECK_LIMIT_MINUTES)) === 0
    process.stdout.write(`${check}: ${passed ? 'passed' : 'FAILED'}\n`)
    tally = add(tally, passed ? { ...NOTHING, passed: 1 } : ONE_FAILURE)
  }
  return tally
}

async function runVitest({ name, prepare, limitMinutes }: VitestSuite): Promise<Tally> {
  for (const script of prepare) {
    title(`${name} tests need: node ${script.join(' ')}`)
    if ((await run(process.execPath, script, PREPARE_LIMIT_MINUTES)) !== 0) return ONE_FAILURE
  }
  title(`${name} tests`)
  const file = `${RESULTS}/${name}.json`
  rmSync(file, { force: true })
  const options = [
    '--project',
    name,
    '--reporter',
    'default',
    '--reporter',
    'json',
    '--outputFile.json',
    file,
  ]
  const code = await run(
    'vitest',
    ['run', ...options, ...(values.path === undefined ? [] : ['--passWithNoTests', values.path])],
    limitMinutes,
  )
  return tallyOfReport(readReport(file), code)
}

function readReport(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined // vitest ended before it could report
  }
}

function run(command: string, commandLine: readonly string[], limitMinutes: number): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, commandLine, { stdio: ['ignore', 'inherit', 'inherit'] })
    const limit = setTimeout(() => {
      process.stderr.write(
        `${command} ${commandLine.join(' ')}: not done after ${limitMinutes} minutes, stopping it\n`,
      )
      child.kill('SIGTERM')
    }, limitMinutes * 60_000)
    const end = (code: number): void => {
      clearTimeout(limit)
      resolve(code)
    }
    child.once('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`)
      end(1)
    })
    child.once('exit', (code) => end(code ?? 1))
  })
}

function title(text: string): void {
  process.stdout.write(`\n=== ${text}\n`)
}

function report(all: readonly Outcome[]): void {
  title('results')
  for (const { suite, tally, seconds } of all) {
    process.stdout.write(`${suite.padEnd(9)} ${summary(tally)} in ${seconds} s\n`)
  }
  if (all.length === 0)
    process.stdout.write(`no test file of these suites has ${values.path ?? ''} in its path\n`)
  const total = all.map(({ tally }) => tally).reduce(add, NOTHING)
  process.exitCode = exitCode(total)
  process.stdout.write(`${summary(total)}\n`)
}
