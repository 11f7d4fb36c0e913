import { HoldoutSplit } from '#federation/wire/generated/tributary.ts'
import { afterEach, describe, expect, it } from 'vitest'

import type { EvaluateJob } from './jobs.ts'
import { TrainerThread } from './trainer-thread.ts'

const job: EvaluateJob = {
  kind: 'evaluate',
  graphs: { manifest: '/none', trainingStep: '/none', evaluation: '/none' },
  parameters: '/none',
  holdoutFraction: 0.2,
  holdoutSplit: HoldoutSplit.TAIL,
  campaignSeed: 1,
  state: {},
}
const never = new AbortController().signal

let trainer: TrainerThread
afterEach(async () => {
  await trainer.close()
})

function threadOf(script: string): TrainerThread {
  const entry = new URL(`data:text/javascript,${encodeURIComponent(script)}`)
  trainer = new TrainerThread(entry, { role: 'trainer', dataset: '{}', dataFolder: '/data' })
  return trainer
}

const LISTEN = "import { parentPort } from 'node:worker_threads'; parentPort.on('message', (m) => {"

describe('the training thread', () => {
  it.each([
    { name: 'ends', script: `${LISTEN} process.exit(7) })`, want: 'code 7' },
    { name: 'throws', script: `${LISTEN} throw new Error('out of memory') })`, want: 'out of memory' },
  ])('that $name without an answer is a failure of its own', async ({ script, want }) => {
    const asking = threadOf(script).evaluate(job, never)
    await expect(asking).rejects.toMatchObject({
      reason: 'TrainerCrashed',
      message: expect.stringContaining(want) as string,
    })
  })

  it('is started anew for the next job', async () => {
    const thread = threadOf(`${LISTEN} process.exit(1) })`)
    await expect(thread.evaluate(job, never)).rejects.toMatchObject({ reason: 'TrainerCrashed' })
    await expect(thread.evaluate(job, never)).rejects.toMatchObject({ reason: 'TrainerCrashed' })
  })

  it('keeps the reason of a failure, and takes no reason from outside the list', async () => {
    const reply = (reason: string) =>
      `${LISTEN} parentPort.postMessage({ id: m.id, kind: 'failed', reason: '${reason}', message: 'why' }) })`
    await expect(threadOf(reply('GraphsUnusable')).evaluate(job, never)).rejects.toMatchObject({
      reason: 'GraphsUnusable',
    })
    await trainer.close()
    await expect(threadOf(reply('toString')).evaluate(job, never)).rejects.toMatchObject({
      reason: 'InternalError',
    })
  })

  it('is told to give up, and the caller hears why', async () => {
    const controller = new AbortController()
    const script = `${LISTEN} if (m.kind === 'cancel') parentPort.postMessage({ id: m.id, kind: 'cancelled' }) })`
    const asking = threadOf(script).evaluate(job, controller.signal)
    controller.abort(new Error('a newer round'))
    await expect(asking).rejects.toThrow('a newer round')
  })
})
