// The training thread's side of the conversation: one job at a time, progress at most once a second, an answer to every
// job. Importing this file does nothing but in a thread that was started with the settings of a trainer.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'

import { asTrainingFailure } from './failures.ts'
import type {
  EvaluateJob,
  ThreadReply,
  ThreadRequest,
  ThreadSettings,
  TrainJob,
  TrainerProgress,
} from './jobs.ts'
import { Workbench } from './workbench.ts'

const PROGRESS_INTERVAL_MS = 1000

function serveJobs(port: MessagePort, settings: ThreadSettings): void {
  const workbench = new Workbench(settings)
  const running = new Map<number, AbortController>()
  let turn: Promise<void> = Promise.resolve()
  port.on('message', (request: ThreadRequest) => {
    if (request.kind === 'cancel') {
      running.get(request.id)?.abort()
      return
    }
    const controller = new AbortController()
    running.set(request.id, controller)
    // Jobs that are cancelled end at the next step of the optimiser, so the one before may still be at work.
    turn = turn.then(async () => {
      await carryOut(request.id, request.job, controller.signal)
      running.delete(request.id)
    })
  })
  async function carryOut(id: number, job: TrainJob | EvaluateJob, signal: AbortSignal): Promise<void> {
    try {
      signal.throwIfAborted()
      port.postMessage(await answer(id, job, signal))
    } catch (error) {
      port.postMessage(signal.aborted ? { id, kind: 'cancelled' } : failed(id, error))
    }
  }

  async function answer(id: number, job: TrainJob | EvaluateJob, signal: AbortSignal): Promise<ThreadReply> {
    if (job.kind === 'evaluate') {
      return { id, kind: 'evaluated', answer: await workbench.evaluate(job, signal) }
    }
    const report = throttled((progress) => {
      port.postMessage({ id, kind: 'progress', progress } satisfies ThreadReply)
    })
    return { id, kind: 'trained', answer: await workbench.train(job, report, signal) }
  }
}

function failed(id: number, error: unknown): ThreadReply {
  const { reason, message, local } = asTrainingFailure(error)
  return { id, kind: 'failed', reason, message, local }
}

function throttled(send: (progress: TrainerProgress) => void): (progress: TrainerProgress) => void {
  let next = 0
  return (progress) => {
    const now = performance.now()
    if (now < next && progress.steps < progress.totalSteps) return
    next = now + PROGRESS_INTERVAL_MS
    send(progress)
  }
}

const settings = workerData as Partial<ThreadSettings> | null
if (parentPort && settings?.role === 'trainer') serveJobs(parentPort, settings as ThreadSettings)
