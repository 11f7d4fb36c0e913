// A loaded model as the rest of the agent sees it: a thread of its own, so that neither loading nor a long inference
// holds up another model, the health checks or the stream to the hub. Requests wait in a bounded line, for a bounded time.
import { Worker } from 'node:worker_threads'

import type {
  ModelDescription,
  ModelReply,
  ModelRequest,
  ModelThreadSettings,
  TensorValue,
} from './model-jobs.ts'

export interface ModelThreadLimits {
  readonly loadMs: number
  readonly inferenceMs: number
  /** Requests under way or waiting. */
  readonly maximumPending: number
}

export const DEFAULT_LIMITS: ModelThreadLimits = { loadMs: 120_000, inferenceMs: 10_000, maximumPending: 64 }

/** An inference that was not carried out; `kind` says whose fault it is. */
export class InferenceError extends Error {
  override readonly name = 'InferenceError'
  readonly kind: 'busy' | 'timeout' | 'failed' | 'gone'

  constructor(kind: InferenceError['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

type Pending = PromiseWithResolvers<ModelReply>

type RequestBody = ModelRequest extends infer Request
  ? Request extends unknown
    ? Omit<Request, 'id'>
    : never
  : never

export class ModelThread {
  readonly #worker: Worker
  readonly #limits: ModelThreadLimits
  readonly #pending = new Map<number, Pending>()
  #description: ModelDescription = { inputs: [], outputs: [] }
  #lastId = 0
  #ended: Error | undefined

  private constructor(entry: URL, limits: ModelThreadLimits) {
    this.#limits = limits
    this.#worker = new Worker(entry, { workerData: { role: 'model' } satisfies ModelThreadSettings })
    this.#worker.on('message', (reply: ModelReply) => this.#pending.get(reply.id)?.resolve(reply))
    this.#worker.on('error', (error) => {
      this.#end(error instanceof Error ? error.message : String(error))
    })
    this.#worker.on('exit', () => {
      this.#end('the thread ended')
    })
  }

  /** Loads exactly these bytes and tries them on zeros. @param entry a module that imports thread.ts */
  static async load(
    entry: URL,
    bytes: Uint8Array,
    limits: ModelThreadLimits = DEFAULT_LIMITS,
  ): Promise<ModelThread> {
    const thread = new ModelThread(entry, limits)
    try {
      const reply = await thread.#ask({ kind: 'load', bytes }, limits.loadMs)
      if (reply.kind !== 'loaded') throw new InferenceError('failed', messageOf(reply))
      thread.#description = reply.description
      return thread
    } catch (error) {
      await thread.terminate()
      throw error
    }
  }

  get description(): ModelDescription {
    return this.#description
  }

  get alive(): boolean {
    return this.#ended === undefined
  }

  async run(inputs: readonly TensorValue[], outputs: readonly string[]): Promise<readonly TensorValue[]> {
    if (this.#pending.size >= this.#limits.maximumPending) {
      throw new InferenceError('busy', `${this.#pending.size} requests are waiting already`)
    }
    const reply = await this.#ask({ kind: 'run', inputs, outputs }, this.#limits.inferenceMs)
    if (reply.kind === 'ran') return reply.outputs
    throw new InferenceError('failed', messageOf(reply))
  }

  /** Ends the thread once the requests under way are answered; each of them has its own time-out. */
  async retire(): Promise<void> {
    await Promise.allSettled([...this.#pending.values()].map(async ({ promise }) => await promise))
    await this.terminate()
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  async #ask(body: RequestBody, timeoutMs: number): Promise<ModelReply> {
    if (this.#ended) throw this.#ended
    const id = ++this.#lastId
    const pending: Pending = Promise.withResolvers<ModelReply>()
    const timer = setTimeout(() => {
      pending.reject(new InferenceError('timeout', `no answer within ${timeoutMs} ms`))
    }, timeoutMs)
    this.#pending.set(id, pending)
    this.#worker.postMessage({ ...body, id })
    try {
      return await pending.promise
    } finally {
      clearTimeout(timer)
      this.#pending.delete(id)
    }
  }

  #end(message: string): void {
    this.#ended ??= new InferenceError('gone', message)
    for (const { reject } of this.#pending.values()) reject(this.#ended)
  }
}

function messageOf(reply: ModelReply): string {
  return reply.kind === 'failed' ? reply.message : `the thread answered "${reply.kind}"`
}
