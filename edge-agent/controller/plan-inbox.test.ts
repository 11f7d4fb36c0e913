import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { campaignPlan } from '#federation/tier/testing/plans.ts'
import type { TierPlan } from '#federation/wire/generated/tributary.ts'

import { PlanInbox } from './plan-inbox.ts'

function plan(settledRound: number): TierPlan {
  const unset = { start: undefined, basis: undefined, merged: undefined, tokenKeys: undefined }
  return { epoch: 1, plan: campaignPlan(), settledRound, agentUsername: 'agent', ...unset }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('the plans of a parent', () => {
  it('are followed one at a time, the newest of those that came meanwhile', async () => {
    const first = Promise.withResolvers<undefined>()
    const followed: number[] = []
    const inbox = new PlanInbox({
      follow: async ({ settledRound }) => {
        followed.push(settledRound)
        if (settledRound === 1) await first.promise
      },
      onProblem: (error) => expect.unreachable(String(error)),
    })
    inbox.put(plan(1))
    await vi.advanceTimersByTimeAsync(0)
    inbox.put(plan(2))
    inbox.put(plan(3))
    await vi.advanceTimersByTimeAsync(0)
    expect(followed).toEqual([1])
    first.resolve(undefined)
    await vi.advanceTimersByTimeAsync(0)
    expect(followed).toEqual([1, 3])
    await inbox.stop()
  })

  it('are followed again and again until that succeeds, and then no more', async () => {
    const followed: number[] = []
    const problems: unknown[] = []
    let full = true
    const inbox = new PlanInbox({
      follow: async ({ settledRound }) => {
        followed.push(settledRound)
        await (full ? Promise.reject(new Error('no space')) : Promise.resolve())
      },
      onProblem: (error) => problems.push(error),
    })
    inbox.put(plan(1))
    await vi.advanceTimersByTimeAsync(11_000)
    expect(followed).toEqual([1, 1, 1])
    expect(problems).toEqual([new Error('no space'), new Error('no space'), new Error('no space')])
    inbox.put(plan(2))
    await vi.advanceTimersByTimeAsync(0)
    full = false
    await vi.advanceTimersByTimeAsync(60_000)
    expect(followed).toEqual([1, 1, 1, 2, 2])
    await inbox.stop()
  })

  it('are left alone once the controller stops', async () => {
    const followed: number[] = []
    const inbox = new PlanInbox({
      follow: async ({ settledRound }) => {
        followed.push(settledRound)
        await Promise.reject(new Error('no space'))
      },
      onProblem: () => undefined,
    })
    inbox.put(plan(1))
    await vi.advanceTimersByTimeAsync(0)
    await inbox.stop()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(followed).toEqual([1])
  })
})
