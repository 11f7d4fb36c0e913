/* A shard in a thread of its own, as the thread sees it that waits for its gradients. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import type { ShardReply, ShardRequest, ShardSettings } from './worker-thread.ts'

interface Pending {
  resolve: (loss: number) => void
  reject: (error: Error) => void
}

/** The thread makes little garbage, for which it need not keep the tens of megabytes that an interpreter takes if it may. */
const LIMITS = { maxYoungGenerationSizeMb: 4 }

export class ShardThread {
  private readonly worker: Worker
  private pending: Pending | undefined
  private ended: Error | undefined

  private constructor(entry: URL, settings: ShardSettings) {
    this.worker = new Worker(entry, { workerData: settings, resourceLimits: LIMITS })
    this.worker.on('message', (reply: ShardReply) => this.settle(reply))
    this.worker.on('error', (error) => this.end(error instanceof Error ? error : new Error(String(error))))
    this.worker.on('exit', (code) => this.end(new Error(`the thread of a shard ended with code ${code}`)))
  }

  /** @param entry a module that imports worker-thread.ts */
  static async start(entry: URL, settings: ShardSettings): Promise<ShardThread> {
    const thread = new ShardThread(entry, settings)
    await thread.next()
    return thread
  }

  /** The shard's loss, once its gradients are there. */
  async run(): Promise<number> {
    const loss = this.next()
    this.ask('run')
    return await loss
  }

  async close(): Promise<void> {
    if (this.ended) return
    const exit = once(this.worker, 'exit')
    this.ask('close')
    await exit
  }

  private ask(request: ShardRequest): void {
    this.worker.postMessage(request)
  }

  private async next(): Promise<number> {
    return await new Promise((resolve, reject) => {
      if (this.ended) reject(this.ended)
      else this.pending = { resolve, reject }
    })
  }

  private settle(reply: ShardReply): void {
    const { pending } = this
    this.pending = undefined
    if (reply.kind === 'failed') pending?.reject(new Error(reply.error))
    else pending?.resolve(reply.kind === 'done' ? reply.loss : 0)
  }

  private end(error: Error): void {
    this.ended ??= error
    this.pending?.reject(this.ended)
    this.pending = undefined
  }
}
