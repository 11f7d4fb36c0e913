// A program that lives no longer than this process: the kernel ends it when this process dies, however it dies.
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { waitFor } from './wait.ts'

export class Program {
  readonly #command: readonly string[]
  readonly #logFile: string
  #child: ChildProcess | undefined

  constructor(command: readonly string[], logFile: string) {
    this.#command = command
    this.#logFile = logFile
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  start(): void {
    if (this.running) throw new Error(`${this.#command[0] ?? ''} runs already`)
    const log = openSync(this.#logFile, 'a')
    try {
      this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...this.#command], {
        stdio: ['ignore', log, log],
      })
    } finally {
      closeSync(log)
    }
    this.#child.on('error', () => undefined)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.running) return
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => {
        resolve()
      })
    })
    child.kill('SIGKILL')
    await exited
  }

  async waitUntil(condition: () => Promise<boolean>): Promise<void> {
    await waitFor(
      { what: `readiness of kube-apiserver (log ${this.#logFile})`, timeoutMs: 90_000 },
      async () => {
        if (this.running) return (await condition()) ? true : undefined
        return 'ended' as const
      },
    ).then(async (outcome) => {
      if (outcome === 'ended') throw new Error(`kube-apiserver ended: ${await this.#lastWords()}`)
    })
  }

  async #lastWords(): Promise<string> {
    return (await readFile(this.#logFile, 'utf8').catch(() => '')).slice(-2000)
  }
}
