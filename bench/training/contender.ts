// A process that takes training steps when told to: ours or the peer's, asked and answered in lines of JSON.
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

export class Contender {
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>

  constructor(program: string, commandLine: readonly string[]) {
    this.child = spawn(program, commandLine, { stdio: ['pipe', 'pipe', 'inherit'] })
    if (!this.child.stdout) throw new Error('unreachable: stdout is a pipe')
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  /** The version of what it measures, which it says when it is ready. */
  async ready(): Promise<string> {
    return (await this.answer()).torch ?? ''
  }

  async ask(order: object): Promise<z.infer<typeof Answer>> {
    this.child.stdin?.write(`${JSON.stringify(order)}\n`)
    const answer = await this.answer()
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }

  async measure(order: object): Promise<Measured> {
    const { cpu, wall, memory } = await this.ask({ do: 'measure', ...order })
    if (cpu === undefined || wall === undefined || memory === undefined) throw new Error('no measurement')
    return { cpu, wall, memory }
  }

  close(): void {
    this.child.stdin?.end()
  }

  private async answer(): Promise<z.infer<typeof Answer>> {
    const line = await this.lines.next()
    if (line.done) throw new Error('the process has ended')
    return Answer.parse(JSON.parse(line.value))
  }
}
