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
