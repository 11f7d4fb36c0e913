import { describe, expect, it, vi } from 'vitest'
import { Identities } from './identity.ts'
import type { ReviewedIdentity } from './identity.ts'

const someone: ReviewedIdentity = {
  username: 'system:serviceaccount:city:default',
  namespace: 'city',
  serviceAccount: 'default',
  podName: 'pod-a',
  podUid: 'uid-a',
  nodeName: 'a',
}

function setUp(answers: Record<string, ReviewedIdentity | undefined | Error>): {
  identities: Identities
  asked: string[]
  clock: { nowMs: number }
} {
  const asked: string[] = []
  const clock = { nowMs: 0 }
  const review = async (token: string): Promise<ReviewedIdentity | undefined> => {
    asked.push(token)
    const answer = answers[token]
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
  }
  return { identities: new Identities(review, { now: () => clock.nowMs }), asked, clock }
}

describe('identities', () => {
  it('are asked for once a minute and token', async () => {
    const { identities, asked, clock } = setUp({ good: someone })
    await identities.identify('Bearer good')
    clock.nowMs = 59_999
    expect(await identities.identify('Bearer good')).toEqual(someone)
    expect(asked).toHaveLength(1)
    clock.nowMs = 60_000
    await identities.identify('Bearer good')
    expect(asked).toHaveLength(2)
  })

  it('are asked for once by many calls at the same time', async () => {
    const { identities, asked } = setUp({ good: someone })
    await Promise.all(Array.from({ length: 50 }, async () => identities.identify('Bearer good')))
    expect(asked).toHaveLength(1)
  })

  it('that are refused are remembered for a shorter time', async () => {
    const { identities, asked, clock } = setUp({})
    const attempt = async (): Promise<unknown> =>
      identities.identify('Bearer bad').catch((error: unknown) => error)
    expect(await attempt()).toMatchObject({ kind: 'unauthenticated', reason: 'TokenInvalid' })
    await attempt()
    expect(asked).toHaveLength(1)
    clock.nowMs = 10_000
    await attempt()
    expect(asked).toHaveLength(2)
  })

  it('that could not be checked are unavailable, not refused, and asked for again', async () => {
    const { identities, asked } = setUp({ good: new Error('API server is away') })
    for (let turn = 1; turn <= 2; turn++) {
      const attempt = identities.identify('Bearer good')
      await expect(attempt).rejects.toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('API server is away') as string,
      })
      expect(asked).toHaveLength(turn)
    }
  })

  it('that are known stay known while invented tokens are tried', async () => {
    const { identities, asked } = setUp({ good: someone })
    await identities.identify('Bearer good')
    for (let i = 0; i < 21_000; i++) await identities.identify(`Bearer bad${i}`).catch(() => undefined)
    asked.length = 0
    expect(await identities.identify('Bearer good')).toEqual(someone)
    expect(asked).toEqual([])
  })

  it('are asked for by so many at a time; others wait, and too many or too long is unavailable', async () => {
    const answers: ((identity: ReviewedIdentity) => void)[] = []
    const review = async (): Promise<ReviewedIdentity> => new Promise((resolve) => answers.push(resolve))
    const limits = { running: 2, waiting: 1, waitMs: 60_000 }
    const identities = new Identities(review, { now: () => 0 }, limits)
    const [a, b, c] = ['a', 'b', 'c'].map(async (token) => identities.identify(`Bearer ${token}`))
    await expect(identities.identify('Bearer d')).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('too many') as string,
    })
    expect(answers).toHaveLength(2)
    answers[0]?.(someone)
    expect(await a).toEqual(someone)
    await vi.waitFor(() => expect(answers).toHaveLength(3))
    answers[1]?.(someone)
    answers[2]?.(someone)
    expect(await Promise.all([b, c])).toEqual([someone, someone])
  })

  it('that wait too long for their turn are unavailable, and take no place', async () => {
    const answers: ((identity: ReviewedIdentity) => void)[] = []
    const review = async (): Promise<ReviewedIdentity> => new Promise((resolve) => answers.push(resolve))
    const identities = new Identities(review, { now: () => 0 }, { running: 1, waiting: 9, waitMs: 1 })
    const first = identities.identify('Bearer a')
    await expect(identities.identify('Bearer b')).rejects.toMatchObject({ kind: 'unavailable' })
    answers[0]?.(someone)
    await first
    const third = identities.identify('Bearer c')
    await vi.waitFor(() => expect(answers).toHaveLength(2))
    answers[1]?.(someone)
    expect(await third).toEqual(someone)
  })

  it.each([
    { name: 'nothing', header: undefined },
    { name: 'another scheme', header: 'Basic Zm9v' },
    { name: 'an empty token', header: 'Bearer ' },
    { name: 'a token with a line break', header: 'Bearer a\nb' },
    { name: 'a token of 20 KiB', header: `Bearer ${'x'.repeat(20 * 1024)}` },
  ])('are never asked for with $name', async ({ header }) => {
    const { identities, asked } = setUp({})
    await expect(identities.identify(header)).rejects.toMatchObject({ reason: 'TokenMissing' })
    expect(asked).toEqual([])
  })
})
