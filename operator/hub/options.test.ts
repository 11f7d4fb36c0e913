// A connection that died without a word is noticed within 30 s, whichever end looks, in calls and in bytes.
import { describe, expect, it } from 'vitest'
import { KEEPALIVE } from '#federation/wire/channel.ts'
import { DEFAULT_PACE, LOOKS_IN_A_WINDOW } from '#federation/wire/http.ts'
import { FIRST_MESSAGE_MS } from '#federation/wire/stream.ts'
import { DEFAULT_IDLE_MS, DEFAULT_KEEPALIVE_MS } from './options.ts'

describe('a connection that died without a word', () => {
  it.each([
    { end: 'a pod or an agent, in a stream', milliseconds: KEEPALIVE.timeMs + KEEPALIVE.timeoutMs },
    { end: 'a pod or an agent, before the first message', milliseconds: FIRST_MESSAGE_MS },
    {
      end: 'a pod or an agent, in a transfer',
      milliseconds: DEFAULT_PACE.windowMs * (1 + 1 / LOOKS_IN_A_WINDOW),
    },
    { end: 'the hub, in a stream', milliseconds: 2 * DEFAULT_KEEPALIVE_MS },
    { end: 'the hub, in a transfer', milliseconds: DEFAULT_IDLE_MS },
  ])('is noticed by $end within 30 s', ({ milliseconds }) => {
    expect(milliseconds).toBeGreaterThan(0)
    expect(milliseconds).toBeLessThanOrEqual(30_000)
  })
})
