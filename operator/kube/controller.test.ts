import { describe, expect, it } from 'vitest'
import { runController } from './controller.ts'
import type { Controller, ControllerOptions } from './controller.ts'
import { ApiError } from './errors.ts'
import { createWorkQueue } from './queue.ts'
import type { WorkQueue } from './queue.ts'
import { createHarness } from './testing/harness.ts'
import type { Harness } from './testing/harness.ts'
import { ManualClock, settle } from './testing/manual-clock.ts'

interface Running extends Harness {
  clock: ManualClock
  queue: WorkQueue
  controller: Controller
}

function run(reconcile: ControllerOptions['reconcile'], more: Partial<ControllerOptions> = {}): Running {
  const clock = new ManualClock()
  const harness = createHarness(clock)
  const queue = createWorkQueue({ clock, random: () => 1, backOffMinMs: 100, backOffMaxMs: 1000 })
  const { log, metrics } = harness
  const controller = runController({ name: 'rounds', queue, reconcile, clock, log, metrics, ...more })
  return { ...harness, clock, queue, controller }
}

describe('the controller', () => {
  it('reconciles what is queued, once, and then rests', async () => {
    const seen: string[] = []
    const { queue, clock } = run(async (key) => {
      seen.push(key)
      return undefined
    })
    queue.add('n/a')
    await settle()
    await clock.advance(3_600_000)
    expect(seen).toEqual(['n/a'])
    expect([queue.size, clock.timers]).toEqual([0, 0])
  })

  it.each([
    { wish: 5_000, wantAt: [0, 5_000, 10_000] },
    { wish: 0, wantAt: [0, 100, 200] },
    { wish: -7, wantAt: [0, 100, 200] },
  ])('comes again after $wish ms, but not in a busy loop', async ({ wish, wantAt }) => {
    const at: number[] = []
    const { queue, clock } = run(async () => {
      at.push(clock.monotonic())
      return at.length < 3 ? { requeueAfterMs: wish } : undefined
    })
    queue.add('n/a')
    await clock.advance(20_000)
    expect(at).toEqual(wantAt)
  })

  it('slows down, logs and counts when a reconcile throws, and goes on with other keys', async () => {
    const at: number[] = []
    const others: string[] = []
    const { queue, clock, lines, registry } = run(async (key) => {
      if (key !== 'n/bad') {
        others.push(key)
        return undefined
      }
      at.push(clock.monotonic())
      throw new Error('broken')
    })
    queue.add('n/bad')
    queue.add('n/good')
    await clock.advance(700)
    expect(at).toEqual([0, 100, 300, 700])
    expect(others).toEqual(['n/good'])
    expect(lines[0]).toMatchObject({
      level: 'error',
      message: 'reconcile failed',
      fields: { controller: 'rounds', key: 'n/bad', retryInMs: 100 },
    })
    const text = await registry.metrics()
    expect(text).toContain('tributary_reconcile_errors_total{controller="rounds"} 4')
    expect(text).toContain('tributary_reconcile_total{controller="rounds",result="done"} 1')
    expect(text).toContain('tributary_reconcile_duration_seconds_count{controller="rounds"} 5')
  })

  it('takes NaN for the mistake that it is', async () => {
    const { queue, lines } = run(async () => ({ requeueAfterMs: NaN }))
    queue.add('n/a')
    await settle()
    expect((lines[0]?.fields as { err: Error }).err.message).toContain('requeueAfterMs: NaN')
    expect(queue.size).toBe(1)
  })

  it('looks again after a conflict without calling it an error', async () => {
    let calls = 0
    const { queue, clock, lines, registry } = run(async () => {
      calls += 1
      if (calls === 1) throw new ApiError({ status: 409, reason: 'Conflict', message: 'changed' })
      return undefined
    })
    queue.add('n/a')
    await clock.advance(100)
    expect(calls).toBe(2)
    expect(lines.map(({ level }) => level)).toEqual(['debug'])
    expect(await registry.metrics()).toContain(
      'tributary_reconcile_total{controller="rounds",result="conflict"} 1',
    )
  })

  it('waits as long as the server asks for', async () => {
    const at: number[] = []
    const { queue, clock } = run(async () => {
      at.push(clock.monotonic())
      throw new ApiError({ status: 429, reason: 'TooManyRequests', message: 'busy', retryAfterMs: 5000 })
    })
    queue.add('n/a')
    await clock.advance(5_000)
    expect(at).toEqual([0, 5_000])
  })

  it('works on several keys at a time, and never twice on one', async () => {
    const flying: string[] = []
    let most = 0
    const { queue, clock } = run(
      async (key) => {
        expect(flying).not.toContain(key)
        flying.push(key)
        most = Math.max(most, flying.length)
        queue.add(key === 'n/0' && clock.monotonic() < 1000 ? key : 'n/4')
        await new Promise<void>((resolve) => clock.after(100, resolve))
        flying.splice(flying.indexOf(key), 1)
        return undefined
      },
      { concurrency: 3 },
    )
    for (let index = 0; index < 10; index += 1) queue.add(`n/${String(index)}`)
    await clock.advance(1_000)
    expect(most).toBe(3)
  })

  it('tells a reconcile that it takes too long', async () => {
    const { queue, clock, lines } = run(
      (_key, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(signal.reason as Error)
          })
        }),
      { timeoutMs: 1_000 },
    )
    queue.add('n/a')
    await clock.advance(1_000)
    expect(lines.map(({ message }) => message)).toEqual(['reconcile takes too long', 'reconcile failed'])
    expect(queue.size).toBe(1)
  })

  it('lets the flight under way land when stopped, and takes nothing more', async () => {
    const seen: string[] = []
    const { queue, clock, controller } = run(async (key, signal) => {
      await new Promise<void>((resolve) => clock.after(3_000, resolve))
      seen.push(`${key} ${String(signal.aborted)}`)
      return undefined
    })
    queue.add('n/a')
    queue.add('n/b')
    await settle()
    let stopped = false
    const stopping = controller.stop().then(() => {
      stopped = true
    })
    await clock.advance(2_000)
    expect(stopped).toBe(false)
    await clock.advance(1_000)
    await stopping
    expect(seen).toEqual(['n/a false'])
    expect(clock.timers).toBe(0)
  })

  it('loses patience with a flight that does not land', async () => {
    let aborted = false
    const { queue, clock, controller } = run(
      (_key, signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            aborted = true
          })
        }),
    )
    queue.add('n/a')
    await settle()
    const stopping = controller.stop(500)
    await clock.advance(500)
    await stopping
    expect(aborted).toBe(true)
  })

  it('shows how many keys wait', async () => {
    const { queue, registry } = run(() => new Promise(() => undefined))
    for (const key of ['n/a', 'n/b', 'n/c']) queue.add(key)
    await settle()
    expect(await registry.metrics()).toContain('tributary_queue_depth{controller="rounds"} 2')
  })
})
