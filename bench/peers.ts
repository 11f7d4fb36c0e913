// The Python that runs the other side of a benchmark, with exactly the packages that the benchmark pins. It is
// TRIBUTARY_BENCH_PYTHON where that is set (the caller vouches for its packages), else a virtual environment under
// .tributary/bench-venv, made once for each set of requirements and used again.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const VENVS = new URL('../.tributary/bench-venv/', import.meta.url).pathname
const INSTALL_MS = 30 * 60_000

/**
 * The path of a Python interpreter that can import `requirements`, lines as pip's requirements files have them
 * ("torch==2.15.0"). Installing takes minutes the first time.
 */
export async function peerPython(requirements: readonly string[]): Promise<string> {
  const given = process.env['TRIBUTARY_BENCH_PYTHON']
  if (given) return given
  const venv = join(VENVS, keyOf(requirements))
  const python = join(venv, 'bin', 'python')
  if (await exists(join(venv, 'complete'))) return python
  await rm(venv, { recursive: true, force: true })
  await install(venv, requirements)
  return python
}

/** The requirements that a file lists: one a line, without comments and empty lines. */
export async function readRequirements(file: string | URL): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n')
  return lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== '')
}

function keyOf(requirements: readonly string[]): string {
  return createHash('sha256')
    .update([...requirements].sort().join('\n'))
    .digest('hex')
    .slice(0, 16)
}

/** A mark is written last, so that an installation that was interrupted is started anew. */
async function install(venv: string, requirements: readonly string[]): Promise<void> {
  await mkdir(VENVS, { recursive: true })
  console.error(`Installing ${requirements.join(', ')} into ${venv}`)
  await run('python3', ['-m', 'venv', venv], { timeout: INSTALL_MS })
  const arguments_ = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements]
  await run(join(venv, 'bin', 'python'), arguments_, { timeout: INSTALL_MS, maxBuffer: 2 ** 24 })
  const mark = join(venv, 'complete')
  await writeFile(`${mark}.new`, `${requirements.join('\n')}\n`)
  await rename(`${mark}.new`, mark)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
