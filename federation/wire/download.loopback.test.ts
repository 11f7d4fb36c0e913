import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { digestHex } from './digest.ts'
import { type BlobReference, type DownloadOptions, downloadBlob } from './download.ts'
import { HubHttp } from './http.ts'
import { Pacer } from './pacer.ts'
import { Link } from './testing/link.ts'
import { testCertificate } from './testing/certificate.ts'
import { type Fault, TestHub } from './testing/test-hub.ts'
import { VerifiedFiles } from './verified-files.ts'

const BYTES = randomBytes(300_000)

let hub: TestHub
let http: HubHttp
let folder: string
let blob: BlobReference

beforeEach(async () => {
  hub = await TestHub.start()
  http = new HubHttp(hub.endpoint)
  folder = await mkdtemp(join(tmpdir(), 'download-'))
  blob = hub.addBlob(BYTES)
})

afterEach(async () => {
  http.destroy()
  hub.close()
  await rm(folder, { recursive: true })
})

function options(changes: Partial<DownloadOptions> = {}): DownloadOptions {
  return {
    http,
    signal: AbortSignal.timeout(50_000),
    random: () => 0,
    backoff: { initialMs: 1, maximumMs: 2 },
    ...changes,
  }
}

const partialPath = () => join(folder, `${digestHex(blob.digest)}.partial`)

describe('a download', () => {
  it('leaves exactly the whole file, and does not fetch it twice', async () => {
    const path = await downloadBlob(blob, folder, options())
    expect((await readFile(path)).equals(BYTES)).toBe(true)
    expect(await readdir(folder)).toEqual([digestHex(blob.digest)])
    expect(await downloadBlob(blob, folder, options())).toBe(path)
    expect(hub.requests).toHaveLength(1)
  })

  it('sends the token of the moment with each request', async () => {
    let count = 0
    http.destroy()
    http = new HubHttp({ ...hub.endpoint, readToken: async () => `token-${++count}` })
    hub.faults = [{ cutResponseAfter: 1000 }]
    await downloadBlob(blob, folder, options())
    expect(hub.requests.map(({ token }) => token)).toEqual(['token-1', 'token-2'])
  })

  it('goes on where the connection was cut, at any byte', async () => {
    const cuts = Array.from({ length: 12 }, () => Math.floor(Math.random() * 60_000))
    hub.faults = cuts.map((cutResponseAfter) => ({ cutResponseAfter }))
    const path = await downloadBlob(blob, folder, options({ maximumFruitlessAttempts: 100 }))
    expect((await readFile(path)).equals(BYTES), `cuts at ${cuts.join(', ')}`).toBe(true)
    const starts = hub.requests.map(({ range }) => Number(/\d+/.exec(range ?? '0')?.[0]))
    expect(starts).toEqual([...starts].sort((a, b) => a - b))
    expect(starts.at(-1)).toBeGreaterThan(0)
  })

  it('tells the hub what it may take of the link, if that is limited', async () => {
    const limited = new HubHttp(hub.endpoint, { pacer: new Pacer(125_000) })
    await downloadBlob(blob, folder, options({ http: limited }))
    await downloadBlob(hub.addBlob(randomBytes(10)), folder, options())
    expect(hub.requests.map(({ limit }) => limit)).toEqual(['125000', undefined])
    limited.destroy()
  })

  it('goes on from what an earlier process left', async () => {
    await writeFile(partialPath(), BYTES.subarray(0, 100_000))
    await downloadBlob(blob, folder, options())
    expect(hub.requests.map(({ range }) => range)).toEqual(['bytes=100000-'])
  })

  it.each([
    { name: 'has other bytes', left: randomBytes(5000) },
    { name: 'is longer than the blob', left: randomBytes(300_001) },
  ])('starts over when what an earlier process left $name', async ({ left }) => {
    await writeFile(partialPath(), left)
    const path = await downloadBlob(blob, folder, options())
    expect((await readFile(path)).equals(BYTES)).toBe(true)
  })

  it('starts over when a file of the final name has other bytes', async () => {
    await writeFile(join(folder, digestHex(blob.digest)), randomBytes(300_000))
    const path = await downloadBlob(blob, folder, options())
    expect((await readFile(path)).equals(BYTES)).toBe(true)
  })

  it('fetches again what was changed after this process had verified it, and nothing else', async () => {
    const verified = new VerifiedFiles()
    const path = await downloadBlob(blob, folder, options({ verified }))
    await downloadBlob(blob, folder, options({ verified }))
    expect(hub.requests).toHaveLength(1)
    await writeFile(path, randomBytes(300_000))
    await downloadBlob(blob, folder, options({ verified }))
    expect((await readFile(path)).equals(BYTES)).toBe(true)
    expect(hub.requests).toHaveLength(2)
  })

  it('fetches again after a byte was changed on the way', async () => {
    hub.faults = [{ flipByte: 77 }]
    const path = await downloadBlob(blob, folder, options())
    expect((await readFile(path)).equals(BYTES)).toBe(true)
    expect(hub.requests.map(({ range }) => range)).toEqual([undefined, undefined])
  })

  it('gives up on a hub that always sends other bytes, and leaves nothing', async () => {
    hub.faults = [
      { flipByte: 1 },
      { cutResponseAfter: 10 },
      { flipByte: 2 },
      { flipByte: 3 },
      { flipByte: 4 },
    ]
    await expect(downloadBlob(blob, folder, options())).rejects.toMatchObject({ reason: 'BlobCorrupt' })
    expect(await readdir(folder)).toEqual([])
  })

  it.each<{ name: string; fault: Fault }>([
    { name: 'says so in its length', fault: { extraBytes: 10 } },
    { name: 'hides its length', fault: { extraBytes: 10, hideLength: true } },
    { name: 'hides its length and never ends', fault: { extraBytes: 5_000_000, hideLength: true } },
  ])('never takes more bytes than announced from a hub that $name', async ({ fault }) => {
    hub.faults = [fault]
    await expect(downloadBlob(blob, folder, options())).rejects.toMatchObject({ reason: 'BlobSizeMismatch' })
    expect((await stat(partialPath())).size).toBeLessThanOrEqual(blob.size)
    expect(hub.requests).toHaveLength(1)
  })

  it.each([401, 429, 500, 503])('tries again after status %i', async (status) => {
    hub.faults = [{ status }]
    await downloadBlob(blob, folder, options())
    expect(hub.requests).toHaveLength(2)
  })

  it.each([
    { status: 403, title: 'NotForThisPod' },
    { status: 404, title: 'UnknownBlob' },
  ])('takes $status as final and names its reason', async ({ status, title }) => {
    hub.faults = [{ status, title }]
    await expect(downloadBlob(blob, folder, options())).rejects.toMatchObject({ reason: title })
    expect(hub.requests).toHaveLength(1)
  })

  it('gives up a connection on which nothing moves, and tries again', async () => {
    hub.faults = [{ silent: true }]
    const errors: string[] = []
    const onRetry = (error: Error) => errors.push(error.message)
    await downloadBlob(blob, folder, options({ onRetry, pace: { windowMs: 200, minimumBytes: 1 } }))
    expect(errors).toEqual(['the connection stalled: fewer than 1 bytes in 0.2 s moved'])
  })

  it('goes on over another connection when one falls silent in the middle of the bytes', async () => {
    const link = await Link.open({ port: hub.endpoint.port, bytesPerSecond: 600_000 })
    const behindLink = new HubHttp({ ...hub.endpoint, port: link.port })
    const running = downloadBlob(
      blob,
      folder,
      options({ http: behindLink, pace: { windowMs: 600, minimumBytes: 1 } }),
    )
    await expect.poll(() => link.crossed.down, { interval: 5 }).toBeGreaterThan(50_000)
    link.silence()
    expect((await readFile(await running)).equals(BYTES)).toBe(true)
    expect(hub.requests.map(({ range }) => range?.replace(/\d{4,}/, 'N'))).toEqual([undefined, 'bytes=N-'])
    behindLink.destroy()
    link.close()
  })

  it('gives up after some attempts without a further byte', async () => {
    hub.faults = Array.from({ length: 9 }, () => ({ status: 503, title: 'Busy' }))
    const attempt = downloadBlob(blob, folder, options({ maximumFruitlessAttempts: 3 }))
    await expect(attempt).rejects.toThrow('the hub answered 503 Busy')
    expect(hub.requests).toHaveLength(3)
  })

  it("ends with the signal's reason", async () => {
    hub.faults = [{ silent: true }]
    const controller = new AbortController()
    const running = downloadBlob(blob, folder, options({ signal: controller.signal }))
    setTimeout(() => controller.abort(new Error('a newer round')), 50)
    await expect(running).rejects.toThrow('a newer round')
  })

  it('takes an empty blob', async () => {
    const path = await downloadBlob(hub.addBlob(Buffer.alloc(0)), folder, options())
    expect((await stat(path)).size).toBe(0)
  })

  it.each([
    { digest: 'sha256:../../etc/passwd', size: 1 },
    { digest: `sha256:${'A'.repeat(64)}`, size: 1 },
    { digest: `sha256:${'a'.repeat(64)}`, size: 3 * 1024 ** 3 },
    { digest: `sha256:${'a'.repeat(64)}`, size: -1 },
  ])('asks for nothing when the announcement is $digest with $size bytes', async (announced) => {
    await expect(downloadBlob(announced, folder, options())).rejects.toThrow(/expected sha256|allowed are/)
    expect(hub.requests).toEqual([])
  })
})

describe('the connection', () => {
  it('trusts the given authority and no other', async () => {
    http.destroy()
    const { authority } = await testCertificate()
    http = new HubHttp({ ...hub.endpoint, authority })
    const attempt = downloadBlob(blob, folder, options({ maximumFruitlessAttempts: 1 }))
    await expect(attempt).rejects.toThrow(/certificate/)
    expect(hub.requests).toEqual([])
  })
})
