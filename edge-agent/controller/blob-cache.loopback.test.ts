// The cache between a parent that counts what it is asked for and a client, over real connections.
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { sendProblem } from '#federation/tier/serving/http.ts'
import { toTierError } from '#federation/tier/serving/errors.ts'
import { BlobStore } from '#federation/tier/store/blobs.ts'
import { digestOf } from '#federation/wire/digest.ts'
import { HubHttp } from '#federation/wire/http.ts'
import { TestHub } from '#federation/wire/testing/test-hub.ts'

import { BlobCache } from './blob-cache.ts'

let parent: TestHub
let http: HubHttp
let folder: string
let cache: BlobCache
let blobs: BlobStore
let server: Server
let stop: AbortController
const referenced = new Map<string, number | undefined>()

beforeEach(async () => {
  referenced.clear()
  folder = await mkdtemp(join(tmpdir(), 'cache-'))
  parent = await TestHub.start()
  http = new HubHttp(parent.endpoint)
  blobs = new BlobStore(folder)
  await blobs.open()
  stop = new AbortController()
  cache = newCache()
  await cache.open()
  server = createServer((request, response) => {
    const digest = `sha256:${request.url?.slice(1) ?? ''}`
    cache
      .serve({ request, response }, digest)
      .catch((error: unknown) => sendProblem({ request, response }, toTierError(error)))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterEach(async () => {
  stop.abort(new Error('the test is over'))
  server.close()
  server.closeAllConnections()
  http.destroy()
  parent.close()
  await rm(folder, { recursive: true, force: true })
})

function newCache(): BlobCache {
  return new BlobCache({
    ...{
      blobs,
      parent: http,
      referenced: () => referenced,
      idleMs: 5_000,
      random: () => 0,
      signal: stop.signal,
    },
    ...{
      onFetched: () => undefined,
      onSent: () => undefined,
      onProblem: () => undefined,
      onDiskFull: () => undefined,
    },
  })
}

async function ask(
  digest: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Buffer }> {
  const { port } = server.address() as AddressInfo
  const [response] = (await once(
    get({ port, host: '127.0.0.1', path: `/${digest.slice(7)}`, headers }),
    'response',
  )) as [IncomingMessage]
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece as Buffer)
  return { status: response.statusCode ?? 0, body: Buffer.concat(pieces) }
}

const asked = (method: string) => parent.requests.filter((request) => request.method === method).length
const bytes = Buffer.alloc(3_000_000, 'model')

describe('the cache of an edge controller', () => {
  it('asks its parent once for what many ask at the same time, and never again', async () => {
    const blob = parent.addBlob(bytes)
    referenced.set(blob.digest, blob.size)
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await ask(blob.digest)))
    for (const { status, body } of answers) expect([status, digestOf(body)]).toEqual([200, blob.digest])
    expect((await ask(blob.digest)).body.equals(bytes)).toBe(true)
    expect(asked('GET')).toBe(1)
    cache = newCache()
    await cache.open()
    expect((await ask(blob.digest)).status).toBe(200)
    expect(asked('GET')).toBe(1)
  })

  it('gives the rest from any byte on', async () => {
    const blob = parent.addBlob(bytes)
    referenced.set(blob.digest, blob.size)
    const { status, body } = await ask(blob.digest, { range: 'bytes=2999000-' })
    expect(status).toBe(206)
    expect(body.equals(bytes.subarray(2_999_000))).toBe(true)
  })

  it('keeps what the campaign names, and models within the bound, through a sweep', async () => {
    const [named, other] = [parent.addBlob(bytes), parent.addBlob(Buffer.from('other'))]
    referenced.set(named.digest, named.size).set(other.digest, other.size)
    await ask(named.digest)
    await ask(other.digest)
    referenced.clear()
    expect(cache.kept()).toEqual(new Set([named.digest, other.digest]))
  })

  it('has nothing that its parent has not, and says so', async () => {
    const blob = { digest: digestOf(Buffer.from('unknown')), size: 7 }
    expect((await ask(blob.digest)).status).toBe(404)
  })
})
