// The trainer as the rest of the process sees it: a thread of its own, started when there is a job and started anew
// after it died. The main thread stays free for the stream to the hub, whatever a training step takes.
import { Worker } from 'node:worker_threads'

import { sleep } from '#federation/wire/backoff.ts'

import { FAILURE_REASONS, type FailureReason, TrainingFailure } from './failures.ts'
import type {
  EvaluateAnswer,
  EvaluateJob,
  ThreadReply,
  ThreadRequest,
  ThreadSettings,
  TrainAnswer,
  TrainJob,
  Trainer,
  TrainerProgress,
} from './jobs.ts'

/** How long a thread may take to give up. A step of the optimiser is much shorter. */
const LONGEST_STEP_MS = 5_000

interface Pending {
  readonly settle: (reply: ThreadReply) => void
  readonly crash: (failure: TrainingFailure) => void
}

export class TrainerThread implements Trainer {
  readonly #entry: URL
  readonly #settings: ThreadSettings
  readonly #pending = new Map<number, Pending>()
  readonly #answers = new Set<Promise<ThreadReply>>()
  #worker: Worker | undefined
  #lastId = 0

  /** @param entry a module that imports thread.ts */
  constructor(entry: URL, settings: ThreadSettings) {
    this.#entry = entry
    this.#settings = settings
  }

  async train(
    job: TrainJob,
    onProgress: (progress: TrainerProgress) => void,
    signal: AbortSignal,
  ): Promise<TrainAnswer> {
    const reply = await this.#ask(job, onProgress, signal)
    if (reply.kind === 'trained') return reply.answer
    throw unexpected(reply)
  }

  async evaluate(job: EvaluateJob, signal: AbortSignal): Promise<EvaluateAnswer> {
    const reply = await this.#ask(job, () => {}, signal)
    if (reply.kind === 'evaluated') return reply.answer
    throw unexpected(reply)
  }

  /** Call it once the jobs are cancelled: ending a thread within a step of ONNX Runtime would end the whole process. */
  async close(): Promise<void> {
    const patience = new AbortController()
    const answered = Promise.allSettled(this.#answers)
    await Promise.race([answered, sleep(LONGEST_STEP_MS, patience.signal).catch(() => undefined)])
    patience.abort()
    await this.#worker?.terminate()
  }

  async #ask(
    job: TrainJob | EvaluateJob,
    onProgress: (progress: TrainerProgress) => void,
    signal: AbortSignal,
  ): Promise<ThreadReply> {
    signal.throwIfAborted()
    const worker = this.#running()
    const id = ++this.#lastId
    const cancel = () => {
      worker.postMessage({ id, kind: 'cancel' } satisfies ThreadRequest)
    }
    signal.addEventListener('abort', cancel, { once: true })
    const answer = new Promise<ThreadReply>((resolve, reject) => {
      const settle = (message: ThreadReply) => {
        if (message.kind === 'progress') onProgress(message.progress)
        else resolve(message)
      }
      this.#pending.set(id, { settle, crash: reject })
      worker.postMessage({ id, kind: 'start', job } satisfies ThreadRequest)
    })
    this.#answers.add(answer)
    try {
      const reply = await answer
      signal.throwIfAborted()
      return reply
    } finally {
      this.#pending.delete(id)
      this.#answers.delete(answer)
      signal.removeEventListener('abort', cancel)
    }
  }

  #running(): Worker {
    if (this.#worker) return this.#worker
    const worker = new Worker(this.#entry, { workerData: this.#settings })
    this.#worker = worker
    worker.on('message', (reply: ThreadReply) => this.#pending.get(reply.id)?.settle(reply))
    worker.on('error', (error) => {
      this.#crashed(error instanceof Error ? error.message : String(error))
    })
    worker.on('exit', (code) => {
      this.#crashed(`the thread ended with code ${code}`)
    })
    return worker
  }

  #crashed(message: string): void {
    this.#worker = undefined
    for (const { crash } of this.#pending.values()) crash(new TrainingFailure('TrainerCrashed', message))
  }
}

function unexpected(reply: ThreadReply): Error {
  if (reply.kind !== 'failed') return new Error(`the training thread answered "${reply.kind}"`)
  const reason: FailureReason = Object.hasOwn(FAILURE_REASONS, reply.reason)
    ? (reply.reason as FailureReason)
    : 'InternalError'
  return new TrainingFailure(reason, reply.message, reply.local)
}
