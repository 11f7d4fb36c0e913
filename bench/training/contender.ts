// A process that takes training steps when told to: ours or the peer's, asked and answered in lines of JSON. One that
// ends, or does not answer in time and is ended for it, is started again for the next question.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

import { z } from 'zod'

/** Seconds a step, of the whole process or by the wall clock; bytes at most so far. */
export interface Measured {
  cpu: number
  wall: number
  memory: number
}

const Answer = z.object({
  cpu: z.number().optional(),
  wall: z.number().optional(),
  memory: z.number().optional(),
  torch: z.string().optional(),
  error: z.string().optional(),
})

interface Running {
  child: ChildProcess
  lines: AsyncIterator<string>
  /** What it measures, in its first line. */
  torch: string
}

const START_SECONDS = 120

export class Contender {
  private readonly program: string
  private readonly commandLine: readonly string[]
  private running: Running | undefined

  constructor(program: string, commandLine: readonly string[]) {
    this.program = program
    this.commandLine = commandLine
  }

  /** The version of what it measures. */
  async version(): Promise<string> {
    return (await this.started()).torch
  }

  async ask(order: object, limitSeconds: number): Promise<z.infer<typeof Answer>> {
    const running = await this.started()
    running.child.stdin?.write(`${JSON.stringify(order)}\n`)
    const answer = await this.answer(running, limitSeconds)
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }

  async measure(order: object, limitSeconds: number): Promise<Measured> {
    const { cpu, wall, memory } = await this.ask({ do: 'measure', ...order }, limitSeconds)
    if (cpu === undefined || wall === undefined || memory === undefined) throw new Error('no measurement')
    return { cpu, wall, memory }
  }

  close(): void {
    this.running?.child.kill('SIGKILL')
    this.running = undefined
  }

  private async started(): Promise<Running> {
    if (this.running) return this.running
    const child = spawn(this.program, this.commandLine, { stdio: ['pipe', 'pipe', 'ignore'] })
    // A process that has ended is noticed by the end of its output.
    child.stdin.on('error', () => undefined)
    child.on('error', () => undefined)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    this.running = { child, lines, torch: '' }
    this.running.torch = (await this.answer(this.running, START_SECONDS)).torch ?? ''
    return this.running
  }

  private async answer({ child, lines }: Running, limitSeconds: number): Promise<z.infer<typeof Answer>> {
    const limit = AbortSignal.timeout(limitSeconds * 1000)
    const end = (): boolean => child.kill('SIGKILL')
    limit.addEventListener('abort', end)
    const line = await lines.next()
    limit.removeEventListener('abort', end)
    if (!line.done) return Answer.parse(JSON.parse(line.value))
    this.running = undefined
    throw new Error(limit.aborted ? `no answer within ${limitSeconds} s` : 'the process has ended')
  }
}
