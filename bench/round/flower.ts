/*
 * The other side of the empty round: Flower's SuperLink and two SuperNodes as processes, and an app that trains nothing.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { peerPython, readRequirements } from '../peers.ts'
import { cpuSeconds, end, heldMegabytes, type Memory, start } from '../processes.ts'

const REQUIREMENTS = new URL('requirements.txt', import.meta.url)
const APP = new URL('flower/', import.meta.url).pathname
const CONTROL = '127.0.0.1:8000'
/** Its programs take long to import, longer on a busy machine. */
const START_MS = 120_000

export interface Rounds {
  /** Seconds of each round. */
  readonly wall: readonly number[]
  /** Seconds of processor time a round, of everything but the command that submits the run. */
  readonly cpu: number
}

export class Flower {
  readonly #bin: string
  readonly #folder: string
  readonly #processes: (ChildProcess & { output: () => string })[] = []

  private constructor(bin: string, folder: string) {
    this.#bin = bin
    this.#folder = folder
  }

  /** A SuperLink and two SuperNodes that are ready. @param folder empty, for its files */
  static async begin(folder: string): Promise<Flower> {
    const python = await peerPython(await readRequirements(REQUIREMENTS))
    const flower = new Flower(dirname(python), folder)
    mkdirSync(join(folder, 'home'))
    const connection = `[superlink]\ndefault = "bench"\n[superlink.bench]\naddress = "${CONTROL}"\ninsecure = true\n`
    writeFileSync(join(folder, 'home', 'config.toml'), connection)
    cpSync(APP, join(folder, 'app'), { recursive: true })
    try {
      await flower.#start(
        'flower-superlink',
        ['--disable-runtime-dependency-installation'],
        'Uvicorn running',
      )
      for (const port of ['9094', '9095']) {
        await flower.#start('flower-supernode', ['--superlink', CONTROL, '--port', port], 'Uvicorn running')
      }
      return flower
    } catch (error) {
      await flower.end()
      throw error
    }
  }

  /** Memory, in MB, of one SuperNode with what it starts. */
  nodeMemory(): Memory {
    return heldMegabytes([this.#processes[1]?.pid ?? 0])
  }

  /** Runs rounds; the first one is not counted. */
  async run(rounds: number, values: number): Promise<Rounds> {
    const out = join(this.#folder, 'rounds.json')
    const pids = this.#processes.map(({ pid }) => pid ?? 0)
    const before = cpuSeconds(pids)
    const config = `rounds=${rounds} values=${values}`
    const args = ['run', join(this.#folder, 'app'), 'bench', '--stream', '--run-config', config]
    const submitted = start(join(this.#bin, 'flwr'), args, { env: this.#environment() })
    const [code] = (await once(submitted, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`flwr run ended with ${code}:\n${submitted.output()}`)
    const wall = JSON.parse(readFileSync(out, 'utf8')) as number[]
    return { wall: wall.slice(1), cpu: (cpuSeconds(pids) - before) / rounds }
  }

  async end(): Promise<void> {
    for (const child of this.#processes.toReversed()) await end(child)
  }

  async #start(program: string, args: readonly string[], ready: string): Promise<void> {
    const child = start(join(this.#bin, program), ['--insecure', ...args], { env: this.#environment() })
    this.#processes.push(child)
    const deadline = performance.now() + START_MS
    while (!child.output().includes(ready)) {
      if (child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`${program} did not start:\n${child.output()}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  #environment(): Record<string, string> {
    return {
      PATH: `${this.#bin}:${process.env['PATH'] ?? ''}`,
      FLWR_HOME: join(this.#folder, 'home'),
      FLWR_TELEMETRY_ENABLED: '0',
      PYTHONPATH: join(this.#folder, 'app'),
      EMPTY_ROUND_OUT: join(this.#folder, 'rounds.json'),
    }
  }
}
