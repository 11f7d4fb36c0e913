// Runs the training compiler in threads of their own, one job at a time and a fresh thread for each: the hub's event
// loop never waits for a graph, a job that takes too long or too much memory is ended, and what it held is freed.
import { Worker } from 'node:worker_threads'
import { ModelRefused, type ModelCompiler } from '#federation/tier/compiler.ts'
import type { CompilerJob, CompilerReply, CompilerResults } from './compiler-jobs.ts'

export interface ModelCompilerOptions {
  /** A module that loads compiler-thread.ts: a bundle, say. By default the source beside this file. */
  readonly entry?: URL
  readonly timeoutMs?: number
  readonly heapMegabytes?: number
}

const TIMEOUT_MS = 10 * 60_000
const HEAP_MEGABYTES = 2048

export function startModelCompiler(options: ModelCompilerOptions = {}): ModelCompiler {
  const threads = new CompilerThreads(options)
  return {
    admit: async (model) => threads.run<'admit'>({ kind: 'admit', model }, 'ModelNotTrainable'),
    compile: async (model, settings) =>
      threads.run<'compile'>({ kind: 'compile', model, settings }, 'TrainingNotPossible'),
    publish: async (parts) => threads.run<'publish'>({ kind: 'publish', ...parts }, 'PublicationNotPossible'),
    delta: async (parts) => threads.run<'delta'>({ kind: 'delta', ...parts }, 'DeltaNotPossible'),
    close: async () => threads.close(),
  }
}

class CompilerThreads {
  readonly #entry: URL
  readonly #timeoutMs: number
  readonly #heapMegabytes: number
  #tail: Promise<unknown> = Promise.resolve()
  #worker: Worker | undefined
  #closed = false

  constructor({ entry, timeoutMs, heapMegabytes }: ModelCompilerOptions) {
    this.#entry = entry ?? new URL('./compiler-thread.ts', import.meta.url)
    this.#timeoutMs = timeoutMs ?? TIMEOUT_MS
    this.#heapMegabytes = heapMegabytes ?? HEAP_MEGABYTES
  }

  /** @param reason what a refusal is called */
  async run<K extends CompilerJob['kind']>(
    job: CompilerJob & { kind: K },
    reason: string,
  ): Promise<CompilerResults[K]> {
    const turn = this.#tail.then(async () => this.#reply(job, reason))
    this.#tail = turn.catch(() => undefined)
    const reply = await turn
    if (reply.ok) return reply.result as CompilerResults[K]
    if (reply.refused) throw new ModelRefused(reason, reply.message)
    throw new Error(`the compiler failed: ${reply.message}`)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#worker?.terminate()
    await this.#tail
  }

  async #reply(job: CompilerJob, reason: string): Promise<CompilerReply> {
    if (this.#closed) throw new Error('the compiler is closed')
    const resourceLimits = { maxOldGenerationSizeMb: this.#heapMegabytes }
    const worker = new Worker(this.#entry, { workerData: job, resourceLimits })
    this.#worker = worker
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<CompilerReply>((resolve, reject) => {
        const refuse = (message: string): void => reject(new ModelRefused(reason, message))
        timer = setTimeout(
          () => refuse(`compiling took longer than ${this.#timeoutMs / 1000} s`),
          this.#timeoutMs,
        )
        worker.once('message', resolve)
        worker.once('error', (error) => {
          if (isOutOfMemory(error)) refuse(`compiling took more than ${this.#heapMegabytes} MiB of memory`)
          else reject(error instanceof Error ? error : new Error(String(error)))
        })
        worker.once('exit', () => reject(new Error('the compiler thread ended without an answer')))
      })
    } finally {
      clearTimeout(timer)
      this.#worker = undefined
      await worker.terminate()
    }
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
}
