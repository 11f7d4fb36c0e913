import { describe, expect, it } from 'vitest'

import { Backoff, sleep } from './backoff.ts'

describe('Backoff', () => {
  const options = { initialMs: 100, maximumMs: 1000 }

  it('doubles up to the maximum, and starts again after a reset', () => {
    const backoff = new Backoff(() => 1, options)
    expect([1, 2, 3, 4, 5, 6].map(() => backoff.next())).toEqual([100, 200, 400, 800, 1000, 1000])
    backoff.reset()
    expect(backoff.next()).toBe(100)
  })

  it('spreads the waiting times over the upper half of each step', () => {
    expect(new Backoff(() => 0, options).next()).toBe(50)
    expect(new Backoff(() => 0.5, options).next()).toBe(75)
  })

  it('waits no longer than the early maximum until its waits add up to the given time', () => {
    const early = { maximumMs: 300, forMs: 1000 }
    const backoff = new Backoff(() => 1, { initialMs: 100, maximumMs: 10_000, early })
    const waits = Array.from({ length: 7 }, () => backoff.next())
    // 100 + 200 + 300 + 300 are less than a second, with another 300 they are not.
    expect(waits).toEqual([100, 200, 300, 300, 300, 3200, 6400])
    backoff.reset()
    expect(Array.from({ length: 4 }, () => backoff.next())).toEqual([100, 200, 300, 300])
  })

  it('finds a peer again within five seconds that was away for two minutes', () => {
    const backoff = new Backoff(() => 1)
    for (let waitedMs = 0; waitedMs < 120_000;) {
      const waitMs = backoff.next()
      expect(waitMs).toBeLessThanOrEqual(5_000)
      waitedMs += waitMs
    }
    expect(backoff.next()).toBe(30_000)
  })

  it('never exceeds its maximum, however long the trouble lasts', () => {
    const backoff = new Backoff(() => 0.999, options)
    for (let i = 0; i < 2000; i++) expect(backoff.next()).toBeLessThanOrEqual(1000)
  })
})

describe('sleep', () => {
  it("ends with the signal's reason", async () => {
    const controller = new AbortController()
    const sleeping = sleep(60_000, controller.signal)
    controller.abort(new Error('no longer needed'))
    await expect(sleeping).rejects.toThrow('no longer needed')
  })
})
