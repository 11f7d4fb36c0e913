// Builds one tool from its Go module with everything pinned by go.sum, and says how many packages are done.
import { rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { toolModulesFolder } from './paths.ts'
import type { Step } from './progress.ts'
import { CommandFailed, run } from './run.ts'
import type { Tool } from './tool-list.ts'

// Static programs of the machine's own kind; the go command fetches the toolchain that a go.mod asks for.
export const goEnvironment = { CGO_ENABLED: '0', GOFLAGS: '-trimpath -buildvcs=false -mod=readonly' } as const

const buildTimeoutMs = 60 * 60_000

export async function buildTool(tool: Tool, output: string, step: Step): Promise<void> {
  const cwd = path.join(toolModulesFolder, tool.module)
  await requireGo(cwd)
  step.update('fetching modules')
  const stale = await stalePackages(tool, cwd)
  const temporary = `${output}.${String(process.pid)}.new`
  let built = 0
  const onStderr = (text: string): void => {
    built += text.split('\n').length - 1
    step.update(built < stale ? `${String(built)} of ${String(stale)} packages` : 'linking')
  }
  // -v names each package when it is compiled; niced because a person is likely to go on working meanwhile.
  const build = [
    'go',
    'build',
    '-v',
    `-ldflags=${await linkerFlags(tool, cwd)}`,
    '-o',
    temporary,
    tool.package,
  ]
  try {
    await run('nice', ['-n', '5', ...build], {
      cwd,
      environment: goEnvironment,
      timeoutMs: buildTimeoutMs,
      onStderr,
    })
    await rename(temporary, output)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** How many packages are not in Go's build cache yet. */
async function stalePackages(tool: Tool, cwd: string): Promise<number> {
  const args = ['list', '-deps', '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', tool.package]
  const listed = await run('go', args, { cwd, environment: goEnvironment, timeoutMs: buildTimeoutMs })
  return listed.split('\n').filter((line) => line !== '').length
}

async function linkerFlags(tool: Tool, cwd: string): Promise<string> {
  const strip = '-s -w'
  if (tool.versionOf === undefined) return strip
  const args = ['list', '-m', '-f', '{{.Version}}', tool.versionOf.module]
  const version = (await run('go', args, { cwd, environment: goEnvironment })).trim()
  const [major = '', minor = ''] = version.replace(/^v/, '').split('.')
  const settings = tool.versionOf.variables.map((variable) =>
    variable.replace('%v', version).replace('%M', major).replace('%m', minor),
  )
  return [strip, ...settings.map((setting) => `-X ${setting}`)].join(' ')
}

async function requireGo(cwd: string): Promise<void> {
  try {
    await run('go', ['version'], { cwd, environment: goEnvironment, timeoutMs: 10 * 60_000 })
  } catch (error) {
    const said = error instanceof CommandFailed ? error.message : String(error)
    throw new Error(
      'Go 1.21 or newer is needed to build the cluster programs (it then fetches the release that each go.mod ' +
        `names by itself); Debian 12 has 1.19, which is too old. Asking for it said:\n${said}`,
      { cause: error },
    )
  }
}
