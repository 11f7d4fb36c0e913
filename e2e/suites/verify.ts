// verify.ts <name>: runs `make generate-<name>` in a copy of the checkout and fails when that changes a file there, so
// a generated file that is not what its source says is found while the checkout, clean or not, stays as it is.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const LONGEST_RUN_MS = 5 * 60_000

export function changedByGenerating(name: string, checkout: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'tributary-verify-'))
  try {
    copyCheckout(checkout, copy)
    git(copy, 'init', '--quiet')
    git(copy, 'add', '--all')
    execFileSync('make', ['-C', copy, '--assume-old=deps', `generate-${name}`], {
      stdio: ['ignore', 2, 2],
      timeout: LONGEST_RUN_MS,
    })
    git(copy, 'add', '--all', '--intent-to-add')
    return git(copy, 'diff', '--no-color', '--stat', '--patch')
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function copyCheckout(checkout: string, copy: string): void {
  const files = git(checkout, 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate')
  for (const file of files.split('\0').filter((name) => name !== '')) {
    const from = join(checkout, file)
    if (statSync(from, { throwIfNoEntry: false })?.isFile() === true) cpSync(from, join(copy, file))
  }
  symlinkSync(join(checkout, 'node_modules'), join(copy, 'node_modules'))
}

function git(folder: string, ...commandLine: string[]): string {
  const options = {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    timeout: LONGEST_RUN_MS,
  } as const
  return execFileSync('git', commandLine, options)
}

if (import.meta.main) {
  const [name] = process.argv.slice(2)
  if (name === undefined) throw new Error('verify.ts <name>: which of the generate-<name> targets?')
  const changed = changedByGenerating(name, process.cwd())
  if (changed !== '') {
    process.stderr.write(
      `${changed}\nGenerated files are not what their source says: run make generate-${name}\n`,
    )
    process.exitCode = 1
  }
}
