// A program as a child process, for tests that kill it without warning and start it again: settings as JSON in its only argument,
// and a line on stdout by which it says that it is there.
import { spawn, type ChildProcess } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Of a process that ended before it was there, for the message. */
const LAST_LINES = 20

export interface ProgramFile {
  readonly entry: URL
  /** Modules that the process loads before anything of the program. */
  readonly preloads: readonly URL[]
}

export class MortalProcess {
  readonly #file: ProgramFile
  #child: ChildProcess | undefined
  /** One for each child, however many wait for it. */
  #gone: Promise<unknown> = Promise.resolve()

  constructor(file: ProgramFile) {
    this.#file = file
  }

  /** @param sayOf what a line says when it is the one that the process is there; undefined for any other */
  protected async launch<Said>(settings: object, sayOf: (line: string) => Said | undefined): Promise<Said> {
    const { entry, preloads } = this.#file
    const imports = preloads.flatMap(({ href }) => ['--import', href])
    const child = spawn(process.execPath, [...imports, fileURLToPath(entry), JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // Compiled once, and not at each of many starts.
      env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'tributary-compile-cache') },
    })
    this.#child = child
    this.#gone = new Promise((resolve) => child.once('exit', resolve))
    const last: string[] = []
    return await new Promise((resolve, reject) => {
      createInterface(child.stdout).on('line', (line) => {
        last.splice(0, last.length - LAST_LINES + 1)
        last.push(line)
        const said = sayOf(line)
        if (said !== undefined) resolve(said)
      })
      child.once('error', reject)
      child.once('exit', () => reject(new Error(`${entry.pathname} did not start: ${last.join('\n')}`)))
    })
  }

  get isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  /** Its exit status, once it has ended by itself. */
  get exitCode(): number | undefined {
    return this.#child?.exitCode ?? undefined
  }

  /** Fulfilled once the process is gone, by itself or not. */
  async gone(): Promise<void> {
    await this.#gone
  }

  /** Kills without waiting. */
  strike(): void {
    this.#child?.kill('SIGKILL')
  }

  async kill(): Promise<void> {
    this.strike()
    await this.gone()
  }
}
