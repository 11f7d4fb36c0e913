// An agent's downloads from an edge controller and the hub, over real TLS: whoever brings the bytes, they are the announced ones, and
// an edge controller that lies, stalls or is gone costs time and nothing else.
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { type BlobReference, blobFile } from '#federation/wire/download.ts'
import type { Parent } from '#federation/wire/generated/tributary.ts'
import { HubHttp } from '#federation/wire/http.ts'
import { selfSignedCertificate } from '#federation/wire/testing/certificate.ts'
import { type Fault, TestHub } from '#federation/wire/testing/test-hub.ts'

import { BlobSource } from './blob-source.ts'

const BYTES = Buffer.alloc(100_000, 'model')
const never = new AbortController().signal

let hub: TestHub
let controller: TestHub
let folder: string
let nowMs: number
let source: BlobSource
let blob: BlobReference
let mirror: Parent

beforeEach(async () => {
  hub = await TestHub.start()
  controller = await TestHub.start({}, await selfSignedCertificate())
  controller.endpoint = { ...controller.endpoint, readToken: hub.endpoint.readToken }
  folder = await mkdtemp(join(tmpdir(), 'blobs-'))
  blob = hub.addBlob(BYTES)
  controller.addBlob(BYTES)
  mirror = controller.parent('north', 1)
  nowMs = 0
  source = startSource(3_000)
})

function startSource(baseMs: number): BlobSource {
  return new BlobSource({
    hub: hub.endpoint,
    connect: (endpoint) => new HubHttp(endpoint),
    folder,
    log: pino({ level: process.env['EDGE_TEST_LOG'] ?? 'silent' }),
    random: () => 0,
    now: () => nowMs,
    patience: { baseMs, bytesPerSecond: 1e9, pauseMs: 60_000 },
  })
}

afterEach(async () => {
  source.destroy()
  hub.close()
  controller.close()
  await rm(folder, { recursive: true })
})

/** The bytes that are handed out, and how often each side was asked. */
async function fetched(
  from: Parent | undefined = mirror,
): Promise<{ whole: boolean; asked: [number, number] }> {
  const path = await source.fetch(blob, from, never)
  const whole = BYTES.equals(await readFile(path))
  return { whole, asked: [controller.requests.length, hub.requests.length] }
}

/** What has arrived of the blob. */
async function bytesOnDisk(): Promise<number> {
  const partial = await stat(`${blobFile(folder, blob)}.partial`).catch(() => undefined)
  return partial?.size ?? 0
}

describe('a blob', () => {
  it("comes from the edge controller alone, with the agent's token", async () => {
    expect(await fetched()).toEqual({ whole: true, asked: [1, 0] })
    expect(controller.requests[0]?.token).toBe('a-token')
  })

  it('comes from the hub when none is named', async () => {
    const path = await source.fetch(blob, undefined, never)
    expect(BYTES.equals(await readFile(path))).toBe(true)
    expect(controller.requests).toEqual([])
  })

  const lying = (fault: Fault) => async () => {
    controller.faults = new Array<Fault>(50).fill(fault)
    return Promise.resolve()
  }
  it.each([
    { name: 'sends other bytes', spoil: lying({ flipByte: 70_000 }) },
    { name: 'sends more than was announced', spoil: lying({ extraBytes: 5 }) },
    {
      name: 'sends more than was announced, without saying so',
      spoil: lying({ extraBytes: 5, hideLength: true }),
    },
    {
      name: 'does not have it',
      spoil: async () => {
        controller.blobs.clear()
        return Promise.resolve()
      },
    },
    { name: 'answers nothing at all', spoil: lying({ silent: true }) },
    { name: 'is overloaded', spoil: lying({ status: 503 }) },
    { name: 'cuts every connection', spoil: lying({ cutResponseAfter: 0 }) },
    {
      name: 'is gone',
      spoil: async () => {
        controller.close()
        return Promise.resolve()
      },
    },
    {
      name: 'shows another certificate',
      spoil: async () => {
        mirror = { ...mirror, certificate: (await selfSignedCertificate()).certificate }
      },
    },
    {
      name: 'was named with a certificate that is none',
      spoil: async () => {
        mirror = { ...mirror, certificate: 'none' }
        return Promise.resolve()
      },
    },
  ])('comes from the hub when the edge controller $name', async ({ spoil }) => {
    await spoil()
    const { whole, asked } = await fetched()
    expect(whole).toBe(true)
    expect(asked[1]).toBeGreaterThan(0)
  })

  it('comes from the hub for what the edge controller did not bring, and no byte twice', async () => {
    source.destroy()
    source = startSource(60_000)
    controller.faults = [{ silentAfter: 60_000 }]
    const fetching = fetched()
    await expect.poll(bytesOnDisk, { timeout: 20_000 }).toBe(60_000)
    controller.blobs.clear()
    controller.cutConnections()
    expect((await fetching).whole).toBe(true)
    expect(hub.requests.map(({ range }) => range)).toEqual(['bytes=60000-'])
  })

  it('is waited for while the edge controller fetches it itself', async () => {
    controller.faults = [{ status: 503 }, { status: 503 }]
    expect(await fetched()).toEqual({ whole: true, asked: [3, 0] })
  })

  it('is not asked of an edge controller that failed before a pause, unless it comes back as another', async () => {
    await lying({ status: 404 })()
    await fetched()
    await rm(folder, { recursive: true })
    controller.faults = []
    controller.requests.length = 0
    expect((await fetched()).asked[0]).toBe(0)
    await rm(folder, { recursive: true })
    nowMs = 60_000
    expect((await fetched()).asked[0]).toBe(1)
  })

  it('ends with the signal, whichever is asked', async () => {
    await lying({ silent: true })()
    const stop = new AbortController()
    const fetching = source.fetch(blob, mirror, stop.signal)
    await expect.poll(() => controller.requests.length).toBe(1)
    stop.abort(new Error('something newer is wanted'))
    await expect(fetching).rejects.toThrow('something newer is wanted')
    expect(hub.requests).toEqual([])
  })
})
