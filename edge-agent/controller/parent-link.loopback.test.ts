import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { downloadBlob } from '#federation/wire/download.ts'
import { AggregatorHello } from '#federation/wire/generated/tributary.ts'
import type { Pacer } from '#federation/wire/pacer.ts'
import { TestHub } from '#federation/wire/testing/test-hub.ts'

import { ParentLink } from './parent-link.ts'

let hub: TestHub
let folder: string
let over: AbortController
beforeEach(async () => {
  hub = await TestHub.start()
  folder = await mkdtemp(join(tmpdir(), 'tributary-parent-link-'))
  over = new AbortController()
})
afterEach(async () => {
  over.abort()
  hub.close()
  await rm(folder, { recursive: true, force: true })
})

describe('the way up of an edge controller', () => {
  it.each([{ bytesPerSecond: 125_000 }, { bytesPerSecond: undefined }])(
    'takes of its link $bytesPerSecond bytes a second',
    async ({ bytesPerSecond }) => {
      const link = new ParentLink({
        ...{ hub: hub.endpoint, hello: AggregatorHello.fromPartial({}), bytesPerSecond },
        ...{ log: pino({ enabled: false }), random: Math.random, now: () => performance.now() },
        signal: over.signal,
      })
      const { signal } = over
      await downloadBlob(hub.addBlob(randomBytes(1000)), folder, { http: link, signal, random: Math.random })
      let pacer: Pacer | undefined
      const answer = await link.send({
        ...{ method: 'PATCH', path: '/somewhere', headers: { 'content-length': '0' }, signal },
        body: async (_, given) => {
          pacer = given
          return Promise.resolve()
        },
      })
      answer.resume()
      expect(hub.requests[0]?.limit).toBe(bytesPerSecond?.toString())
      expect(pacer?.bytesPerSecond).toBe(bytesPerSecond)
    },
  )
})
