// Runs a command to its end: arguments never pass through a shell, the time is limited, what is kept of the
// output is bounded, and a failure carries the command and the end of what it said.
import { spawn } from 'node:child_process'

export interface RunOptions {
  readonly input?: string
  readonly timeoutMs?: number
  readonly cwd?: string
  /** Added to the environment that the command inherits. */
  readonly environment?: Readonly<Record<string, string>>
  /** Called with each piece of standard error as it arrives. */
  readonly onStderr?: (text: string) => void
}

export class CommandFailed extends Error {
  readonly exitCode: number | null
  readonly stderr: string

  constructor(commandLine: string, outcome: { exitCode: number | null; reason: string; stderr: string }) {
    const said = outcome.stderr.trim().slice(-4000)
    super(`${commandLine}: ${outcome.reason}${said === '' ? '' : `\n${said}`}`)
    this.name = 'CommandFailed'
    this.exitCode = outcome.exitCode
    this.stderr = outcome.stderr
  }
}

const outputLimit = 64 * 1024 * 1024
const defaultTimeoutMs = 120_000

/** Standard output of the command; throws CommandFailed when it exits with anything but 0. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { program, allArguments } = withEnvironment(command, args, options.environment)
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs
  const child = spawn(program, allArguments, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const stdout = collect(child.stdout, () => child.kill('SIGKILL'))
  const stderr = collect(child.stderr, () => child.kill('SIGKILL'), options.onStderr)
  // A command that ends without reading its input breaks the pipe; its exit code tells the story.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const commandLine = [command, ...args].join(' ').slice(0, 400)
  const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', (cause) => {
      reject(
        new CommandFailed(commandLine, {
          exitCode: null,
          reason: `cannot start: ${cause.message}`,
          stderr: '',
        }),
      )
    })
    child.on('close', (code, by) => {
      resolve([code, by])
    })
  })
  if (exitCode !== 0) {
    const reason =
      signal === null
        ? `exit code ${String(exitCode)}`
        : `killed by ${signal} (time limit ${String(timeoutMs)} ms)`
    throw new CommandFailed(commandLine, { exitCode, reason, stderr: stderr() })
  }
  return stdout()
}

/** Like run, but a failure is an answer: undefined. For clean-up and for asking whether something exists. */
export async function tryRun(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string | undefined> {
  try {
    return await run(command, args, options)
  } catch (error) {
    if (error instanceof CommandFailed) return undefined
    throw error
  }
}

function withEnvironment(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> | undefined,
): { program: string; allArguments: string[] } {
  if (environment === undefined) return { program: command, allArguments: [...args] }
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  return { program: 'env', allArguments: [...settings, command, ...args] }
}

function collect(
  stream: NodeJS.ReadableStream,
  onOverflow: () => void,
  onText?: (text: string) => void,
): () => string {
  const pieces: Buffer[] = []
  let size = 0
  stream.on('data', (piece: Buffer) => {
    size += piece.length
    if (size > outputLimit) onOverflow()
    else pieces.push(piece)
    onText?.(piece.toString('utf8'))
  })
  return () => Buffer.concat(pieces).toString('utf8')
}
