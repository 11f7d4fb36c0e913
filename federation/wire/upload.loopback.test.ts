import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { digestOf } from './digest.ts'
import { HubHttp } from './http.ts'
import { updatePath } from './names.ts'
import { Pacer } from './pacer.ts'
import { Link } from './testing/link.ts'
import { type Fault, TestHub } from './testing/test-hub.ts'
import { type Update, type UploadOptions, uploadUpdate } from './upload.ts'

const BYTES = randomBytes(200_000)
const PATH = updatePath('campaign', 3, 'node-a')

let hub: TestHub
let http: HubHttp
let folder: string
let update: Update

beforeEach(async () => {
  hub = await TestHub.start()
  http = new HubHttp(hub.endpoint)
  folder = await mkdtemp(join(tmpdir(), 'upload-'))
  const path = join(folder, 'update')
  await writeFile(path, BYTES)
  update = {
    campaign: 'campaign',
    round: 3,
    participant: 'node-a',
    path,
    size: BYTES.length,
    digest: digestOf(BYTES),
    samples: 120,
    steps: 12,
    loss: 0.25,
    parameters: digestOf(Buffer.from('global parameters')),
  }
})

afterEach(async () => {
  http.destroy()
  hub.close()
  await rm(folder, { recursive: true })
})

function options(changes: Partial<UploadOptions> = {}): UploadOptions {
  return {
    http,
    signal: AbortSignal.timeout(50_000),
    random: () => 0,
    backoff: { initialMs: 1, maximumMs: 2 },
    chunkBytes: 50_000,
    ...changes,
  }
}

describe('an upload', () => {
  it('arrives in chunks, with what the hub has to know', async () => {
    expect(await uploadUpdate(update, options())).toEqual({ kind: 'accepted' })
    const state = hub.uploads.get(PATH)!
    expect(state.received.equals(BYTES)).toBe(true)
    expect(state.headers).toMatchObject({
      'update-digest': update.digest,
      'update-samples': '120',
      'update-steps': '12',
      'update-loss': '0.25',
      'update-parameters': update.parameters,
      'upload-length': '200000',
    })
    expect(hub.requests.map(({ method, offset }) => `${method} ${offset ?? ''}`)).toEqual([
      'HEAD ',
      'PATCH 0',
      'PATCH 50000',
      'PATCH 100000',
      'PATCH 150000',
    ])
  })

  it('of a tier names its offer in place of samples, steps and losses', async () => {
    const { samples: _samples, steps: _steps, loss: _loss, ...file } = update
    const members = digestOf(Buffer.from('the members'))
    expect(await uploadUpdate({ ...file, members }, options())).toEqual({ kind: 'accepted' })
    const { headers } = hub.uploads.get(PATH)!
    expect(headers).toMatchObject({ 'update-members': members, 'update-parameters': update.parameters })
    expect(headers).not.toMatchObject({ 'update-samples': '120' })
  })

  describe('of which nothing was ever sent', () => {
    const once = { chunkBytes: 1_000_000 }
    const requests = () => hub.requests.map(({ method, offset }) => `${method} ${offset ?? ''}`)
    beforeEach(() => {
      update = { ...update, neverSent: true }
    })

    it('begins without asking', async () => {
      expect(await uploadUpdate(update, options(once))).toEqual({ kind: 'accepted' })
      expect(requests()).toEqual(['PATCH 0'])
    })

    it('asks once the first request has failed, and sends what is missing only', async () => {
      hub.faults = [{ cutRequestAfter: 70_000 }]
      expect(await uploadUpdate(update, options(once))).toEqual({ kind: 'accepted' })
      expect(hub.uploads.get(PATH)!.received.equals(BYTES)).toBe(true)
      expect(requests()).toEqual(['PATCH 0', 'HEAD ', 'PATCH 70000'])
    })

    it('goes on from where the hub is, should that not be the beginning', async () => {
      const received = Buffer.from(BYTES.subarray(0, 70_000))
      hub.uploads.set(PATH, { received, accepted: false, headers: {} })
      expect(await uploadUpdate(update, options(once))).toEqual({ kind: 'accepted' })
      expect(requests()).toEqual(['PATCH 0', 'PATCH 70000'])
    })
  })

  it('takes no more of the link than it may, over all its requests', async () => {
    const pacer = new Pacer(200_000)
    const waitMs = vi.spyOn(pacer, 'waitMs').mockReturnValue(0)
    const limited = new HubHttp(hub.endpoint, { pacer })
    expect(await uploadUpdate(update, options({ http: limited }))).toEqual({ kind: 'accepted' })
    expect(waitMs.mock.calls.map(([bytes]) => bytes)).toEqual(Array(8).fill(25_000))
    limited.destroy()
  })

  it('survives cuts at any byte, and sends what is missing only', async () => {
    const cuts = Array.from({ length: 10 }, () => Math.floor(Math.random() * 60_000))
    hub.faults = cuts.flatMap((cutRequestAfter): Fault[] => [{}, { cutRequestAfter }])
    expect(await uploadUpdate(update, options())).toEqual({ kind: 'accepted' })
    expect(hub.uploads.get(PATH)?.received.equals(BYTES), `cuts after ${cuts.join(', ')}`).toBe(true)
  })

  it('learns from the hub that a lost acknowledgement was one', async () => {
    hub.faults = [{}, { cutBeforeAnswer: true }]
    expect(await uploadUpdate(update, options({ chunkBytes: 1_000_000 }))).toEqual({ kind: 'accepted' })
    expect(hub.requests.map(({ method }) => method)).toEqual(['HEAD', 'PATCH', 'HEAD'])
  })

  it('sends an accepted update again without sending its bytes', async () => {
    await uploadUpdate(update, options())
    const before = hub.requests.length
    expect(await uploadUpdate(update, options())).toEqual({ kind: 'accepted' })
    expect(hub.requests.slice(before).map(({ method }) => method)).toEqual(['HEAD'])
  })

  it('follows the hub to another offset', async () => {
    hub.uploads.set(PATH, { received: Buffer.from(BYTES.subarray(0, 70_000)), accepted: false, headers: {} })
    hub.faults = [{ status: 500 }]
    expect(await uploadUpdate(update, options())).toEqual({ kind: 'accepted' })
    expect(hub.requests.map(({ offset }) => offset)).toEqual([
      undefined,
      undefined,
      '70000',
      '120000',
      '170000',
    ])
  })

  it.each([401, 429, 500, 503, 507])('tries again after status %i', async (status) => {
    hub.faults = [{}, { status }]
    expect(await uploadUpdate(update, options())).toEqual({ kind: 'accepted' })
  })

  it('is late when the round is closed', async () => {
    hub.verdict = { status: 410, title: 'RoundClosed', detail: 'round 3 is over' }
    expect(await uploadUpdate(update, options())).toEqual({ kind: 'late', detail: 'round 3 is over' })
  })

  it.each([
    { status: 403, title: 'NotThisParticipant' },
    { status: 404, title: 'UnknownRound' },
    { status: 409, title: 'OtherBytesAccepted' },
    { status: 413, title: 'TooLarge' },
    { status: 422, title: 'UpdateRefused' },
  ])('is refused once and for all by $status $title', async ({ status, title }) => {
    hub.verdict = { status, title, detail: 'for a reason' }
    expect(await uploadUpdate(update, options())).toEqual({
      kind: 'refused',
      reason: title,
      detail: 'for a reason',
    })
    expect(hub.requests.map(({ method }) => method)).toEqual(['HEAD', 'PATCH'])
  })

  it('gives up a connection on which nothing moves, and tries again', async () => {
    hub.faults = [{ silent: true }, {}, { silent: true }]
    const errors: string[] = []
    const changes = { onRetry: (error: Error) => errors.push(error.message), chunkBytes: 1_000_000 }
    const pace = { windowMs: 200, minimumBytes: 1 }
    expect(await uploadUpdate(update, options({ ...changes, pace }))).toEqual({ kind: 'accepted' })
    expect(errors).toHaveLength(2)
  })

  it('goes on over another connection when one falls silent in the middle of the bytes', async () => {
    const link = await Link.open({ port: hub.endpoint.port, bytesPerSecond: 400_000 })
    const behindLink = new HubHttp({ ...hub.endpoint, port: link.port })
    const errors: string[] = []
    const onRetry = (error: Error) => errors.push(error.message)
    const changes = { http: behindLink, onRetry, pace: { windowMs: 600, minimumBytes: 1 } }
    const sending = uploadUpdate(update, options({ ...changes, chunkBytes: 1_000_000 }))
    await expect.poll(() => link.crossed.up, { interval: 5 }).toBeGreaterThan(50_000)
    link.silence()
    expect(await sending).toEqual({ kind: 'accepted' })
    expect(hub.uploads.get(PATH)!.received.equals(BYTES)).toBe(true)
    expect(errors).toEqual(['the connection stalled: fewer than 1 bytes in 0.6 s moved'])
    behindLink.destroy()
    link.close()
  })

  it("ends with the signal's reason and not otherwise", async () => {
    hub.faults = Array.from({ length: 100 }, () => ({ status: 503 }))
    const controller = new AbortController()
    let retries = 0
    const onRetry = () => {
      retries += 1
      if (retries === 20) controller.abort(new Error('a newer round'))
    }
    const running = uploadUpdate(update, options({ signal: controller.signal, onRetry }))
    await expect(running).rejects.toThrow('a newer round')
    expect(retries).toBe(20)
  })
})
