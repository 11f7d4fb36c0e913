import { describe, expect, it } from 'vitest'
import { Identities } from './identity.ts'
import type { ReviewedIdentity } from './options.ts'

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
