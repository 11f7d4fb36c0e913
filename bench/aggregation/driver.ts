// A contender in a process of its own: it reads a job from each line of its standard input and answers with a line of JSON.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

import { z } from 'zod'

const Answer = z.looseObject({
  seconds: z.number().optional(),
  port: z.number().optional(),
  peakBytes: z.number().optional(),
})
export type Answer = z.infer<typeof Answer>

export class Driver {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  /** What it said when it was ready. */
  readonly ready: Answer

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, ready: Answer) {
    this.#child = child
    this.#lines = lines
    this.ready = ready
  }

  static async start(program: string, args: readonly string[]): Promise<Driver> {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    return new Driver(child, lines, await answerOf(lines, program))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async ask(job: string): Promise<Answer> {
    this.#child.stdin?.write(`${job}\n`)
    return answerOf(this.#lines, job)
  }

  async seconds(job: string): Promise<number> {
    return (await this.ask(job)).seconds ?? Number.NaN
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

async function answerOf(lines: AsyncIterator<string>, asked: string): Promise<Answer> {
  const line = await lines.next()
  if (line.done) throw new Error(`${asked}: the contender ended without an answer`)
  return Answer.parse(JSON.parse(line.value))
}

/** Runs every job once a round, one after another, and keeps the best of each. */
export async function bestOf(
  rounds: number,
  jobs: Readonly<Record<string, () => Promise<number>>>,
): Promise<Record<string, number>> {
  const best: Record<string, number> = {}
  for (let round = 0; round < rounds; round++) {
    for (const [name, job] of Object.entries(jobs)) {
      best[name] = Math.min(best[name] ?? Infinity, await job())
    }
  }
  return best
}
