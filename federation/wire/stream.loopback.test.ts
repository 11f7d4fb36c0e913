// The calls to the hub over real TLS: who is trusted, what is sent along, and what happens when the link fails.
import type { Metadata, ServerDuplexStream } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { createHubClient } from './channel.ts'
import type { HubEndpoint } from './endpoint.ts'
import { type Assignment, ParticipationClient, type ParticipantMessage } from './generated/tributary.ts'
import { type StreamOptions, keepStreamOpen } from './stream.ts'
import { Link } from './testing/link.ts'
import { testCertificate } from './testing/certificate.ts'
import { TestHub } from './testing/test-hub.ts'

type Call = ServerDuplexStream<ParticipantMessage, Assignment>

const hello: ParticipantMessage = {
  kind: { $case: 'hello', value: { campaign: 'c', softwareVersion: '1', round: 0 } },
}
const idle = (reason: string): Assignment => ({ kind: { $case: 'idle', value: { reason } } })

let hub: TestHub
let onCall: (call: Call) => void
let metadata: Metadata[]
let received: ParticipantMessage[]
let stop: AbortController
let running: Promise<unknown>[]

beforeEach(async () => {
  metadata = []
  received = []
  running = []
  stop = new AbortController()
  onCall = (call) => call.write(idle('WaitingForRound'))
  hub = await TestHub.start({
    participation: {
      participate: (call) => {
        metadata.push(call.metadata)
        call.on('data', (message: ParticipantMessage) => received.push(message))
        call.on('error', () => {})
        onCall(call)
      },
    },
  })
})

afterEach(async () => {
  stop.abort(new Error('the test is over'))
  await Promise.allSettled(running)
  hub.close()
})

interface Kept {
  readonly messages: Assignment[]
  readonly errors: string[]
  send: (message: ParticipantMessage) => void
}

function keep(
  endpoint: HubEndpoint,
  changes: Partial<StreamOptions<ParticipantMessage, Assignment>> = {},
): Kept {
  const kept: Kept = { messages: [], errors: [], send: () => {} }
  const stream = keepStreamOpen<ParticipantMessage, Assignment>({
    open: () => {
      const client = createHubClient(ParticipationClient, endpoint)
      return { call: client.participate(), close: () => client.close() }
    },
    onOpen: (send) => {
      kept.send = send
      send(hello)
    },
    onMessage: (message) => kept.messages.push(message),
    onRetry: (error) => kept.errors.push(error.message),
    random: () => 0,
    signal: stop.signal,
    backoff: { initialMs: 20, maximumMs: 40 },
    ...changes,
  })
  running.push(stream)
  return kept
}

describe('a stream to the hub', () => {
  it('says hello under the token of the moment, on every stream anew', async () => {
    let count = 0
    const kept = keep({ ...hub.endpoint, readToken: async () => `token-${++count}` })
    for (const streams of [1, 2, 3]) {
      await expect.poll(() => kept.messages.length, { timeout: 10_000 }).toBe(streams)
      await expect.poll(() => received.length).toBe(streams)
      hub.cutConnections()
    }
    expect(metadata.slice(0, 3).map((sent) => sent.get('authorization'))).toEqual([
      ['Bearer token-1'],
      ['Bearer token-2'],
      ['Bearer token-3'],
    ])
  })

  it('is opened again after the hub ends it', async () => {
    onCall = (call) => {
      call.write(idle('WaitingForRound'))
      call.end()
    }
    const kept = keep(hub.endpoint)
    await expect.poll(() => kept.messages.length, { timeout: 10_000 }).toBeGreaterThan(2)
    expect(kept.errors[0]).toBe('the hub ended the stream')
  })

  it('is opened again after an error of the hub', async () => {
    onCall = (call) => {
      if (metadata.length < 3) call.emit('error', { code: 7, details: 'NotThisPod' })
      else call.write(idle('WaitingForRound'))
    }
    const kept = keep(hub.endpoint)
    await expect.poll(() => kept.messages.length, { timeout: 10_000 }).toBe(1)
    expect(kept.errors).toEqual(['7 PERMISSION_DENIED: NotThisPod', '7 PERMISSION_DENIED: NotThisPod'])
  })

  it('is given up and opened again when the hub says nothing', async () => {
    onCall = (call) => {
      if (metadata.length > 1) call.write(idle('WaitingForRound'))
    }
    const kept = keep(hub.endpoint, { firstMessageMs: 300 })
    await expect.poll(() => kept.messages.length, { timeout: 10_000 }).toBe(1)
    expect(kept.errors).toContain('the hub sent nothing after the stream was opened')
  })

  it('is given up and opened again when the link falls silent, which closes nothing', async () => {
    const link = await Link.open({ port: hub.endpoint.port })
    const endpoint = { ...hub.endpoint, port: link.port }
    const open = () => {
      const client = createHubClient(ParticipationClient, endpoint, { timeMs: 100, timeoutMs: 400 })
      return { call: client.participate(), close: () => client.close() }
    }
    const kept = keep(endpoint, { open })
    await expect.poll(() => kept.messages.length, { timeout: 10_000 }).toBe(1)
    link.silence()
    await expect.poll(() => kept.messages.length, { timeout: 10_000 }).toBe(2)
    link.close()
  })

  it('is tried for as long as nobody listens', async () => {
    const kept = keep({ ...hub.endpoint, port: 1 })
    await expect.poll(() => kept.errors.length, { timeout: 10_000 }).toBeGreaterThan(3)
    expect(kept.errors[0]).toContain('UNAVAILABLE')
  })

  it('trusts no other authority', async () => {
    const { authority } = await testCertificate()
    const kept = keep({ ...hub.endpoint, authority })
    await expect.poll(() => kept.errors.length, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(metadata).toEqual([])
  })

  it('does not end while the token cannot be read, and is opened once it can', async () => {
    let readable = false
    const readToken = async () => {
      if (!readable) throw new Error('no such file')
      return 'token'
    }
    const kept = keep({ ...hub.endpoint, readToken })
    await expect.poll(() => kept.errors.length, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(metadata).toEqual([])
    readable = true
    await expect.poll(() => kept.messages.length, { timeout: 10_000 }).toBe(1)
  })

  it("ends with the signal's reason, and sends no more", async () => {
    const kept = keep(hub.endpoint)
    await expect.poll(() => received.length, { timeout: 10_000 }).toBe(1)
    stop.abort(new Error('stopped'))
    await expect(running[0]).rejects.toThrow('stopped')
    kept.send(hello)
    expect(received).toHaveLength(1)
  })
})
