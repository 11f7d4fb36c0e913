// A throw-away checkout for the tests of the lint rules: files written into it are judged by this repository's own
// configuration, as if they stood at the same paths here.
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const LIMITS = { timeout: 120_000, maxBuffer: 64 * 1024 * 1024 }

const LintReport = z.array(
  z.object({ filePath: z.string(), messages: z.array(z.object({ ruleId: z.string().nullable() })) }),
)
const ImportReport = z.object({
  summary: z.object({
    violations: z.array(
      z.object({
        from: z.string(),
        rule: z.object({ name: z.string() }),
        cycle: z.array(z.object({ name: z.string() })).default([]),
      }),
    ),
  }),
})

/** The names of the rules that a file breaks, by the file's path. */
export type Verdicts = ReadonlyMap<string, readonly string[]>

export class Sandbox {
  readonly #folder: string

  constructor() {
    const parent = join(CHECKOUT, '.tributary')
    mkdirSync(parent, { recursive: true })
    this.#folder = mkdtempSync(join(parent, 'architecture-'))
    for (const file of ['package.json', 'tsconfig.json'])
      copyFileSync(join(CHECKOUT, file), join(this.#folder, file))
  }

  write(path: string, source: string): void {
    const file = join(this.#folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, source)
  }

  async lint(): Promise<Verdicts> {
    const options = ['--config', join(CHECKOUT, 'eslint.config.mjs'), '--format', 'json', '.']
    const report = LintReport.parse(await this.#run('.bin/eslint', options))
    return byFile(
      report.flatMap(({ filePath, messages }) =>
        messages.map(({ ruleId }) => ({
          file: filePath.slice(this.#folder.length + 1),
          rule: ruleId ?? 'not parsed',
        })),
      ),
    )
  }

  async cruise(folders: readonly string[]): Promise<Verdicts> {
    const options = [
      '--config',
      join(CHECKOUT, '.dependency-cruiser.mjs'),
      '--output-type',
      'json',
      ...folders,
    ]
    const report = ImportReport.parse(await this.#run('.bin/depcruise', options))
    return byFile(
      report.summary.violations.flatMap(({ from, rule, cycle }) => {
        const files = new Set([from, ...cycle.map(({ name }) => name)])
        return [...files].map((file) => ({ file, rule: rule.name }))
      }),
    )
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #run(script: string, options: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const commandLine = [join(CHECKOUT, 'node_modules', script), ...options]
      execFile(process.execPath, commandLine, { ...LIMITS, cwd: this.#folder }, (error, stdout, stderr) => {
        // A linter that found something exits with an error too: what counts is whether it reported.
        try {
          resolve(JSON.parse(stdout))
        } catch {
          reject(new Error(`${script} reported nothing: ${stderr}`, { cause: error }))
        }
      })
    })
  }
}

function byFile(found: readonly { file: string; rule: string }[]): Verdicts {
  const verdicts = new Map<string, string[]>()
  for (const { file, rule } of found) verdicts.set(file, [...(verdicts.get(file) ?? []), rule])
  return verdicts
}
