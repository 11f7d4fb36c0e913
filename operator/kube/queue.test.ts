import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createWorkQueue } from './queue.ts'
import type { WorkQueue } from './queue.ts'
import { ManualClock, settle } from './testing/manual-clock.ts'

function aQueue(random = 1): { queue: WorkQueue; clock: ManualClock } {
  const clock = new ManualClock()
  const queue = createWorkQueue({ clock, random: () => random, backOffMinMs: 100, backOffMaxMs: 1000 })
  return { queue, clock }
}

/** Everything that can be taken right now. */
async function takeReady(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = []
  while (queue.depth > 0) keys.push((await queue.take()) ?? 'stopped')
  return keys
}

describe('the work queue', () => {
  it('gives keys in the order in which they became ready, each once', async () => {
    const { queue } = aQueue()
    for (const key of ['b', 'a', 'b']) queue.add(key)
    expect(await takeReady(queue)).toEqual(['b', 'a'])
  })

  it('wakes a taker that waits', async () => {
    const { queue } = aQueue()
    const taking = queue.take()
    queue.add('a')
    expect(await taking).toBe('a')
  })

  it('gives a key in flight to nobody else, and once more afterwards', async () => {
    const { queue } = aQueue()
    queue.add('a')
    await queue.take()
    queue.add('a')
    queue.add('a')
    expect(queue.depth).toBe(0)
    queue.done('a')
    expect(await takeReady(queue)).toEqual(['a'])
    queue.done('a')
    expect(queue.size).toBe(0)
  })

  it.each([
    { name: 'a later wish is forgotten', delays: [100, 500], wantAt: 100 },
    { name: 'an earlier wish wins', delays: [500, 100], wantAt: 100 },
    { name: 'now wins', delays: [500, 0], wantAt: 0 },
  ])('$name', async ({ delays, wantAt }) => {
    const { queue, clock } = aQueue()
    for (const delayMs of delays) queue.addAfter('a', delayMs)
    await clock.advance(wantAt - 1)
    const early = queue.depth
    await clock.advance(1)
    expect([early, queue.depth]).toEqual([wantAt === 0 ? 1 : 0, 1])
    expect(clock.timers).toBe(0)
  })

  it('remembers the earliest wish of a flight', async () => {
    const { queue, clock } = aQueue()
    queue.add('a')
    await queue.take()
    queue.addAfter('a', 500)
    queue.addAfter('a', 300)
    queue.addAfter('a', 900)
    queue.done('a')
    await clock.advance(299)
    expect(queue.depth).toBe(0)
    await clock.advance(1)
    expect(queue.depth).toBe(1)
  })

  it('slows a failing key down, up to the limit, and forgets after a success', async () => {
    const { queue, clock } = aQueue()
    const delays: number[] = []
    for (let attempt = 0; attempt < 6; attempt += 1) {
      queue.add('a')
      await queue.take()
      delays.push(queue.fail('a'))
      await clock.advance(1000)
    }
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000])
    await queue.take()
    queue.done('a')
    queue.add('a')
    await queue.take()
    expect(queue.fail('a')).toBe(100)
  })

  it('draws half of the delay', async () => {
    const { queue } = aQueue(0.5)
    queue.add('a')
    await queue.take()
    expect(queue.fail('a')).toBe(75)
  })

  it('waits at least as long as the server said', async () => {
    const { queue } = aQueue()
    queue.add('a')
    await queue.take()
    expect(queue.fail('a', 5000)).toBe(5000)
  })

  it('lets news during a failed flight shorten the wait, but not to nothing', async () => {
    const { queue, clock } = aQueue()
    for (let attempt = 0; attempt < 4; attempt += 1) {
      queue.add('a')
      await queue.take()
      if (attempt === 3) queue.add('a')
      const delayMs = queue.fail('a')
      if (attempt === 3) expect(delayMs).toBe(100)
      await clock.advance(delayMs)
    }
    expect(queue.depth).toBe(1)
  })

  it('lets news cut a back-off short', async () => {
    const { queue, clock } = aQueue()
    queue.add('a')
    await queue.take()
    queue.fail('a')
    queue.add('a')
    expect(queue.depth).toBe(1)
    expect(clock.timers).toBe(0)
  })

  it('gives nothing once stopped, lets flights land and leaves no timer', async () => {
    const { queue, clock } = aQueue()
    queue.add('flying')
    await queue.take()
    const taking = queue.take()
    queue.addAfter('waiting', 100)
    queue.stop()
    expect(await taking).toBeUndefined()
    queue.add('late')
    queue.fail('flying')
    expect(await queue.take()).toBeUndefined()
    expect([queue.size, queue.depth, clock.timers]).toEqual([0, 0, 0])
  })

  it('refuses to end a flight that is none', () => {
    const { queue } = aQueue()
    expect(() => {
      queue.done('a')
    }).toThrow('"a" is not in flight')
  })

  it('never loses a wish, never doubles a flight and empties itself, whatever happens in whatever order', async () => {
    const action = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      act: fc.constantFrom('add', 'addAfter', 'take', 'done', 'fail', 'wait'),
      ms: fc.nat(500),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
        const { queue, clock } = aQueue()
        const flying = new Set<string>()
        const owed = new Set<string>()
        const take = async (): Promise<void> => {
          const key = (await queue.take()) ?? ''
          expect(flying.has(key)).toBe(false)
          expect(owed.has(key)).toBe(true)
          flying.add(key)
          owed.delete(key)
        }
        const wish = (key: string, delayMs: number): void => {
          queue.addAfter(key, delayMs)
          owed.add(key)
        }
        const acts = {
          add: ({ key }) => {
            wish(key, 0)
          },
          addAfter: ({ key, ms }) => {
            wish(key, ms)
          },
          take: async () => {
            if (queue.depth > 0) await take()
          },
          done: ({ key }) => {
            if (flying.delete(key)) queue.done(key)
          },
          fail: ({ key }) => {
            if (!flying.delete(key)) return
            queue.fail(key)
            owed.add(key)
          },
          wait: ({ ms }) => clock.advance(ms),
        } satisfies Record<string, (given: { key: string; ms: number }) => void | Promise<void>>
        for (const given of actions) await acts[given.act](given)
        for (const key of flying) queue.done(key)
        flying.clear()
        await clock.advance(2000)
        await settle()
        while (queue.depth > 0) await take()
        expect(owed.size).toBe(0)
        for (const key of flying) queue.done(key)
        expect([queue.size, clock.timers]).toEqual([0, 0])
      }),
      { numRuns: 60 },
    )
  })
})
