// Uploads byte by byte over real TLS: what is taken, resumed, acknowledged again and refused.
import { appendFile, mkdir, readdir, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  blobPath,
  HUB_SERVER_NAME,
  MAXIMUM_CHUNK_BYTES,
  TRANSFER_LIMIT_HEADER,
  UPLOAD_HEADERS,
  updatePath,
} from '#federation/wire/names.ts'
import { Pacer } from '#federation/wire/pacer.ts'
import { RoundState_Phase } from '#federation/wire/generated/tributary.ts'
import {
  floats,
  http,
  patch,
  sha256,
  uploadHeaders,
  type Answer,
  type TestUpdate,
} from './testing/clients.ts'
import { podToken, tinyModel } from './testing/fakes.ts'
import { MODEL_URI } from './testing/harness.ts'
import { CAMPAIGN, campaignPlan } from '#federation/tier/testing/plans.ts'
import { Story, until } from './testing/story.ts'

const PARAMETERS = 20_000
const BYTES = 4 * PARAMETERS
const token = podToken('a')

let story: Story
let update: TestUpdate

/** A hub with a round that waits for the update of node a. */
async function begin(idleMs: number): Promise<void> {
  story = await Story.begin({ idleMs })
  story.test.files.set(MODEL_URI, tinyModel(new Float32Array(PARAMETERS)))
  await story.modelReady()
  await story.applyCampaign()
  const pod = story.participant('a')
  update = await story.updateOf(pod, 'a', someUpdate(1), 5)
  pod.cancel()
}

beforeEach(async () => begin(300))
afterEach(async () => story.end())

function someUpdate(seed: number): Buffer {
  return floats(...Array.from({ length: PARAMETERS }, (_, i) => Math.sin(i + seed)))
}

async function send(
  changes: Partial<TestUpdate> = {},
  range: { from?: number; to?: number } = {},
): Promise<Answer> {
  return patch(story.endpoint, { ...update, ...changes }, { token, ...range })
}

async function head(of: TestUpdate = update): Promise<Answer> {
  const path = updatePath(of.campaign, of.round, of.participant)
  return http(story.endpoint, {
    method: 'HEAD',
    path,
    token,
    headers: { [UPLOAD_HEADERS.digest]: sha256(of.bytes) },
  })
}

function problem(answer: Answer): { title: string; detail: string; status: number } {
  expect(answer.headers['content-type']).toBe('application/problem+json')
  const shown = JSON.parse(answer.body.toString()) as { title: string; detail: string; status: number }
  expect(shown.status).toBe(answer.status)
  return shown
}

async function openSocket(): Promise<TLSSocket> {
  const { port, authority } = story.endpoint
  const socket = connect({
    port,
    host: '127.0.0.1',
    ca: authority,
    servername: HUB_SERVER_NAME,
    ALPNProtocols: ['http/1.1'],
  })
  socket.on('error', () => undefined)
  await new Promise<void>((resolve) => socket.once('secureConnect', resolve))
  return socket
}

/** Bytes of the update on the hub's disk, durable or not. */
async function spooled(): Promise<number> {
  const { campaign, round, participant, bytes } = update
  const name = `${sha256(bytes).slice('sha256:'.length)}.update`
  const folder = join(story.test.directory, 'campaigns', campaign, 'rounds', String(round))
  return stat(join(folder, 'updates', participant, name)).then(
    ({ size }) => size,
    () => 0,
  )
}

/** Opens an upload and sends only a part of the body that its headers promise. */
async function stalledUpload(sent: number): Promise<TLSSocket> {
  const socket = await openSocket()
  const headers = {
    ...uploadHeaders(update),
    authorization: `Bearer ${token}`,
    'content-length': String(BYTES),
    host: 'hub',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const path = updatePath(update.campaign, update.round, update.participant)
  socket.write([`PATCH ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n'))
  socket.write(update.bytes.subarray(0, sent))
  return socket
}

describe('an update', () => {
  it('is accepted in one request, and acknowledged again when it is sent again', async () => {
    for (let turn = 0; turn < 2; turn++) {
      const answer = await send()
      expect(answer.status).toBe(201)
      expect(answer.headers[UPLOAD_HEADERS.complete]).toBe('?1')
    }
    expect((await head()).headers).toMatchObject({
      [UPLOAD_HEADERS.complete]: '?1',
      [UPLOAD_HEADERS.offset]: String(BYTES),
    })
    expect((await story.campaign()).current).toMatchObject({ received: 1, samples: 5 })
  })

  it('travels in pieces', async () => {
    const first = await send({}, { to: 30_000 })
    expect([first.status, first.headers[UPLOAD_HEADERS.offset]]).toEqual([204, '30000'])
    expect((await head()).headers).toMatchObject({ [UPLOAD_HEADERS.offset]: '30000' })
    expect((await send({}, { from: 30_000, to: 30_001 })).status).toBe(204)
    expect((await send({}, { from: 30_001 })).status).toBe(201)
  })

  it('resumes after a restart of the hub', async () => {
    await send({}, { to: 30_000 })
    await story.restart()
    expect((await head()).headers).toMatchObject({ [UPLOAD_HEADERS.offset]: '30000' })
    expect((await send({}, { from: 30_000 })).status).toBe(201)
  })

  it('is completed by an empty request when a crash came after its last byte', async () => {
    await send({}, { to: BYTES - 4 })
    const spooled = join(
      story.test.directory,
      'campaigns',
      CAMPAIGN,
      'rounds/1/updates/a',
      `${sha256(update.bytes).slice(7)}.update`,
    )
    await appendFile(spooled, update.bytes.subarray(BYTES - 4))
    await story.restart()
    expect((await head()).headers).toMatchObject({ [UPLOAD_HEADERS.offset]: String(BYTES) })
    expect((await send({}, { from: BYTES })).status).toBe(201)
  })

  it('tells the right offset when the announced one is wrong', async () => {
    await send({}, { to: 1_000 })
    const answer = await send({}, { from: 2_000 })
    expect(answer.status).toBe(409)
    expect(problem(answer).title).toBe('OffsetMismatch')
    expect(answer.headers[UPLOAD_HEADERS.offset]).toBe('1000')
  })

  it('of other bytes is refused once one is accepted, naming both digests', async () => {
    await send()
    const other = someUpdate(2)
    const answer = await send({ bytes: other })
    expect(answer.status).toBe(409)
    expect(problem(answer)).toMatchObject({ title: 'OtherBytesAccepted' })
    expect(problem(answer).detail).toContain(sha256(update.bytes))
    expect(problem(answer).detail).toContain(sha256(other))
  })

  it('of other bytes is told to the operator with both digests, once a node, also after a restart', async () => {
    await send()
    for (const seed of [2, 3]) expect((await send({ bytes: someUpdate(seed) })).status).toBe(409)
    const digests = { acceptedDigest: sha256(update.bytes), refusedDigest: sha256(someUpdate(2)) }
    const want = [{ round: 1, node: 'a', ...digests }]
    expect((await story.campaign()).conflicts).toEqual(want)
    await story.restart()
    expect((await story.campaign()).conflicts).toEqual(want)
  })

  it('starts anew when a participant trained again before anything was accepted', async () => {
    await send({}, { to: 1_000 })
    expect((await send({ bytes: someUpdate(2) })).status).toBe(201)
  })

  it('may arrive in any order: the merged parameters have the same bits', async () => {
    const digests: string[] = []
    for (const order of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      const own = await Story.begin()
      own.test.files.set(MODEL_URI, tinyModel(new Float32Array(PARAMETERS)))
      await own.modelReady()
      await own.applyCampaign()
      for (const node of order) {
        const pod = own.participant(node)
        const given = await own.updateOf(pod, node, someUpdate(node === 'a' ? 1 : 2), node === 'a' ? 3 : 11)
        expect((await patch(own.endpoint, given, { token: podToken(node) })).status).toBe(201)
      }
      digests.push((await own.phase(RoundState_Phase.EVALUATING)).current?.parametersDigest ?? '')
      await own.end()
    }
    expect(digests[0]).toMatch(/^sha256:/)
    expect(digests[1]).toBe(digests[0])
  })
})

describe('an update that is written over one that was merged', () => {
  it('is resumed after a cut, and its own bits are merged', async () => {
    const pods = { a: story.participant('a'), b: story.participant('b') }
    const sent = async (node: 'a' | 'b', seed: number): Promise<void> => {
      const given = await story.updateOf(pods[node], node, someUpdate(seed), 5)
      expect((await patch(story.endpoint, given, { token: podToken(node) })).status).toBe(201)
    }
    const spares = async (): Promise<number> => (await readdir(join(story.test.directory, 'spares'))).length
    await sent('a', 1)
    await sent('b', 2)
    for (const pod of Object.values(pods)) await story.evaluate(pod, 1, { loss: 1 })
    await story.phase(RoundState_Phase.DONE)
    expect(await spares()).toBe(2)

    const { round } = campaignPlan()
    await story.applyCampaign({ round: round && { ...round, round: 2 } })
    await pods.b.told('train', 2)
    const { parameters } = await pods.a.told('train', 2)
    update = { ...update, round: 2, bytes: someUpdate(3), parameters: parameters?.digest ?? '' }
    const socket = await stalledUpload(30_000)
    await new Promise((resolve) => socket.once('close', resolve))
    await until(async () => (await head()).headers[UPLOAD_HEADERS.offset] === '30000')
    expect(await spares()).toBe(1)
    expect((await send({}, { from: 30_000 })).status).toBe(201)
    await sent('b', 4)
    const { current } = await story.phase(RoundState_Phase.EVALUATING)
    const merged = (await story.blob(current?.parametersDigest ?? '')).body
    for (const i of [0, 7_499, 7_500, PARAMETERS - 1]) {
      const sum = [1, 2, 3, 4].reduce((total, seed) => total + Math.sin(i + seed), 0)
      expect(merged.readFloatLE(4 * i)).toBeCloseTo(sum / 2, 5)
    }
  })
})

describe('an update is refused', () => {
  const broken = Buffer.from(someUpdate(1))
  broken.writeFloatLE(Number.NaN, 4 * 777)
  it.each([
    {
      name: 'with a number that is not finite',
      change: { bytes: broken },
      status: 422,
      said: 'value 777 is not a finite',
    },
    {
      name: 'of another size',
      change: { bytes: floats(1, 2) },
      status: 422,
      said: '8 bytes; 20000 values take 80000 as Float32',
    },
    { name: 'without samples', change: { samples: 0 }, status: 422, said: 'update-samples is "0"' },
    { name: 'without steps', change: { steps: 0 }, status: 422, said: 'update-steps is "0"' },
    { name: 'with half a sample', change: { samples: 1.5 }, status: 422, said: 'update-samples is "1.5"' },
    {
      name: 'with a loss that is not a number',
      change: { loss: Number.NaN },
      status: 422,
      said: 'update-loss is "NaN"',
    },
    {
      name: 'with a loss that no sum of losses would survive',
      change: { loss: 1e308 },
      status: 422,
      said: 'update-loss is "1e+308"; expected a finite number of at most',
    },
    {
      name: 'with what its strategy does not ask for',
      change: { initialLoss: 1 },
      status: 422,
      said: 'update-initial-loss is not for FedAvg',
    },
    {
      name: 'with more samples than any node has',
      change: { samples: 1_000_000_001 },
      status: 422,
      said: 'update-samples is "1000000001"; expected a whole number from 1 to 1000000000',
    },
    {
      name: 'trained from other parameters',
      change: { parameters: sha256(floats(1)) },
      status: 422,
      said: 'started from',
    },
    {
      name: 'for a round that is not open',
      change: { round: 2 },
      status: 404,
      said: 'round 2 has not been opened',
    },
    { name: 'for an unknown campaign', change: { campaign: 'nope' }, status: 404, said: 'no campaign nope' },
    {
      name: 'in the name of another node',
      change: { participant: 'b' },
      status: 403,
      said: 'cannot send the update of b',
    },
  ])('$name', async ({ change, status, said }) => {
    const answer = await send(change)
    expect(answer.status).toBe(status)
    expect(problem(answer).detail).toContain(said)
    expect((await story.campaign()).current).toMatchObject({ received: 0 })
  })

  it('when its bytes are not those of its digest, and may then be sent again', async () => {
    const path = updatePath(update.campaign, update.round, 'a')
    const headers = { ...uploadHeaders(update), 'content-length': String(BYTES) }
    const answer = await http(story.endpoint, { method: 'PATCH', path, token, headers }, someUpdate(9))
    expect(answer.status).toBe(422)
    expect(problem(answer).detail).toContain('announced was')
    expect((await send()).status).toBe(201)
  })

  it('when a request is larger than a request may be', async () => {
    const path = updatePath(update.campaign, update.round, 'a')
    const headers = { ...uploadHeaders(update), 'content-length': String(MAXIMUM_CHUNK_BYTES + 1) }
    const answer = http(story.endpoint, { method: 'PATCH', path, token, headers }, Buffer.alloc(0))
    expect((await answer.catch(() => ({ status: 413 }))).status).toBe(413)
  })

  it('when more bytes follow than were announced, whatever content-length says', async () => {
    const path = updatePath(update.campaign, update.round, 'a')
    const headers = { ...uploadHeaders(update), 'transfer-encoding': 'chunked' }
    const body = Buffer.concat([update.bytes, floats(1)])
    const answer = await http(story.endpoint, { method: 'PATCH', path, token, headers }, body)
    expect(answer.status).toBe(413)
    expect((await story.campaign()).current).toMatchObject({ received: 0 })
  })

  it('when the volume is full, and the client is told so', async () => {
    const folder = join(story.test.directory, 'campaigns', CAMPAIGN, 'rounds/1/updates/a')
    await mkdir(folder, { recursive: true })
    await symlink('/dev/full', join(folder, `${sha256(update.bytes).slice(7)}.update`))
    const answer = await send()
    expect(answer.status).toBe(507)
    expect(problem(answer).title).toBe('DiskFull')
  })

  it('when the round is over: late', async () => {
    const { round } = campaignPlan()
    if (!round) throw new Error('unreachable')
    await story.applyCampaign({ round: { ...round, attempt: 2, minimumUpdates: 1, deadlineSeconds: 1 } })
    await send()
    await story.phase(RoundState_Phase.EVALUATING)
    const late = { ...update, participant: 'b' }
    // What a request leaves that ended after the merge had dropped everything.
    const updates = join(story.test.directory, 'campaigns', CAMPAIGN, 'rounds/1/updates')
    await until(async () => (await readdir(join(updates, 'a'))).join() === 'update.json')
    const folder = join(updates, 'b')
    await mkdir(folder, { recursive: true })
    await appendFile(join(folder, `${sha256(update.bytes).slice(7)}.update`), update.bytes)
    const answer = await patch(story.endpoint, late, { token: podToken('b') })
    expect(answer.status).toBe(410)
    expect(problem(answer).title).toBe('RoundClosed')
    expect(await readdir(folder)).toEqual([])
    expect((await send()).status).toBe(201)
  })
})

describe('a connection that hangs', () => {
  it('is taken over by the next request for the same update', async () => {
    await story.end()
    await begin(10 * 60_000)
    const hanging = await stalledUpload(10_000)
    await until(async () => (await spooled()) === 10_000)
    expect((await send({}, { from: 10_000 })).status).toBe(201)
    hanging.destroy()
  })

  it('is ended by the question how much has arrived, and what it held can no longer be accepted', async () => {
    await story.end()
    await begin(10 * 60_000)
    const hanging = await stalledUpload(BYTES - 1)
    await until(async () => (await spooled()) === BYTES - 1)
    const answered = new Promise<void>((resolve) =>
      hanging.once('data', () => resolve()).once('close', resolve),
    )
    expect((await head()).headers[UPLOAD_HEADERS.complete]).toBeUndefined()
    hanging.write(update.bytes.subarray(BYTES - 1))
    await answered
    expect((await send({ bytes: someUpdate(2) })).status).toBe(201)
    hanging.destroy()
  })

  it('is ended when it stands still', async () => {
    const hanging = await stalledUpload(10_000)
    await new Promise<void>((resolve) => hanging.once('close', () => resolve()))
    expect((await head()).headers).toMatchObject({ [UPLOAD_HEADERS.offset]: '10000' })
  })
})

describe('a connection that never says what it wants', () => {
  it.each([
    { name: 'nothing', sent: '' },
    { name: 'half a header', sent: 'GET / HTTP/1.1\r\nhost: hub\r\n' },
  ])('is ended after $name', async ({ sent }) => {
    const socket = await openSocket()
    socket.write(sent)
    socket.resume()
    await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  })
})

describe('a blob', () => {
  it.each([
    { name: 'whole', range: undefined, status: 200, want: [0, BYTES] },
    { name: 'from an offset', range: 'bytes=79990-', status: 206, want: [79_990, BYTES] },
    { name: 'whole for a range that is not understood', range: 'bytes=0-5', status: 200, want: [0, BYTES] },
  ])('is served $name', async ({ range, status, want }) => {
    const path = blobPath(update.parameters)
    const answer = await http(story.endpoint, { path, token, headers: range ? { range } : {} })
    expect(answer.status).toBe(status)
    expect(answer.headers['etag']).toBe(`"${update.parameters}"`)
    expect(answer.body.byteLength).toBe((want[1] ?? 0) - (want[0] ?? 0))
  })

  it('is served no faster than it is asked for', async () => {
    const waitMs = vi.spyOn(Pacer.prototype, 'waitMs').mockReturnValue(0)
    const headers = { [TRANSFER_LIMIT_HEADER]: String(BYTES) }
    const answer = await http(story.endpoint, { path: blobPath(update.parameters), token, headers })
    expect([answer.status, answer.body.byteLength]).toEqual([200, BYTES])
    expect(waitMs.mock.calls.map(([bytes]) => bytes)).toEqual(Array(8).fill(BYTES / 8))
    waitMs.mockRestore()
  })

  it.each(['fast', '1000'])('is not served at a speed of %s', async (limit) => {
    const headers = { [TRANSFER_LIMIT_HEADER]: limit }
    const answer = await http(story.endpoint, { path: blobPath(update.parameters), token, headers })
    expect([answer.status, JSON.parse(answer.body.toString())]).toMatchObject([
      400,
      { title: 'InvalidTransferLimit', detail: expect.stringContaining(limit) as string },
    ])
  })

  it('is not served from beyond its end', async () => {
    const path = blobPath(update.parameters)
    const answer = await http(story.endpoint, { path, token, headers: { range: `bytes=${BYTES}-` } })
    expect([answer.status, answer.headers['content-range']]).toEqual([416, `bytes */${BYTES}`])
  })
})
