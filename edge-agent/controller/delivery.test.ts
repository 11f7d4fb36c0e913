import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'

import { Metadata } from '@grpc/grpc-js'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { referenceKernels } from '#federation/aggregation/reference-kernels.ts'
import { checkCampaignPlan } from '#federation/tier/plans.ts'
import { Campaign } from '#federation/tier/rounds/campaign.ts'
import { commitOf } from '#federation/tier/rounds/commit.ts'
import { Round } from '#federation/tier/rounds/round.ts'
import { BlobStore } from '#federation/tier/store/blobs.ts'
import { SpareFiles } from '#federation/tier/store/spares.ts'
import { campaignPlan } from '#federation/tier/testing/plans.ts'
import { digestOf } from '#federation/wire/digest.ts'
import type { IntermediateOffer, OfferAnswer } from '#federation/wire/generated/tributary.ts'
import type { HubRequest } from '#federation/wire/http.ts'

import { Delivery, type Parent } from './delivery.ts'
import { Outgoing } from './outgoing.ts'

interface Reply {
  readonly status: number
  readonly title?: string
  readonly headers?: Record<string, string>
}
const ACCEPTED: Reply = { status: 201, headers: { 'upload-complete': '?1', 'upload-offset': '8' } }
const NOTHING_YET: Reply = { status: 200, headers: { 'upload-offset': '0' } }

/** A tier above that says what the test wants, and remembers what it was given. */
class ScriptedParent implements Parent {
  place = 'hub'
  readonly offers: string[][] = []
  readonly bodies: number[][] = []
  offerAnswers: (Partial<OfferAnswer> | Error)[] = []
  replies: Reply[] = []

  async offer({ members }: IntermediateOffer): Promise<OfferAnswer> {
    this.offers.push(members.map(({ node }) => node))
    const answer = this.offerAnswers.shift() ?? {}
    if (answer instanceof Error) throw answer
    return Promise.resolve({ counted: [], offerDigest: `sha256:offer-${this.offers.length}`, ...answer })
  }

  async send({ method, body }: HubRequest): Promise<IncomingMessage> {
    const pieces: Buffer[] = []
    if (body) {
      const { Writable } = await import('node:stream')
      const taking = new Writable({
        write: (piece: Buffer, _encoding, done) => {
          pieces.push(Buffer.from(piece))
          done()
        },
      })
      await body(taking, undefined)
      this.bodies.push([...new Float32Array(Uint8Array.from(Buffer.concat(pieces)).buffer)])
    }
    const {
      status,
      title,
      headers = {},
    } = method === 'HEAD' ? NOTHING_YET : (this.replies.shift() ?? ACCEPTED)
    const text = title ? [Buffer.from(JSON.stringify({ title, detail: 'as the test wants' }))] : []
    return Object.assign(Readable.from(text), { statusCode: status, headers }) as unknown as IncomingMessage
  }
}

let folder: string
let campaign: Campaign
let round: Round
let parent: ScriptedParent
let settled = 0
const fenced: string[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'delivery-'))
  settled = 0
  fenced.length = 0
  parent = new ScriptedParent()
  campaign = await Campaign.create(join(folder, 'campaign'), checkCampaignPlan(campaignPlan()))
  const blob = { digest: 'sha256:base', size: 8 }
  const graphs = { manifest: blob, trainingStep: blob, evaluation: blob }
  const tensors = [{ shape: [2], trainable: true }]
  await campaign.saveStart({
    ...{
      baseVersion: 1,
      baseDigest: 'sha256:model',
      graphs,
      parameters: blob,
      trainableCount: 2,
      tensors,
      localRanges: [],
    },
  })
  round = await Round.create(campaign.roundDirectory(1), {
    ...{ round: 1, attempt: 1, participants: ['a', 'b'], minimumUpdates: 1, openedMs: 0, deadlineMs: 1 },
    ...{ base: blob, state: {}, learningRate: 0.1, population: 2 },
  })
  campaign.rounds.set(1, round)
  await accept('a', 1, [1, 2])
  await accept('b', 3, [10, 20])
  await round.save('commit', commitOf(campaign.buffers.of(1).values(), 0))
})
afterEach(async () => {
  await campaign.stop()
  await rm(folder, { recursive: true, force: true })
})

async function accept(participant: string, samples: number, values: number[]): Promise<void> {
  const bytes = Buffer.from(Float32Array.from(values).buffer)
  const digest = digestOf(bytes)
  const path = round.uploadPath(participant, digest)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes)
  const record = { participant, digest, size: 8, samples, steps: 1, loss: 0.5, acceptedMs: 0 }
  await round.addUpdate(record)
  campaign.buffers.add(round.number, record)
}

async function deliver(): Promise<Outgoing> {
  const delivery = new Delivery(campaign, {
    ...{
      tier: 'east',
      parent,
      blobs: new BlobStore(folder),
      spares: new SpareFiles(folder),
      kernels: referenceKernels,
    },
    ...{
      clock: { now: () => 0 },
      logger: pino({ level: 'silent' }),
      settledRound: () => settled,
      random: () => 0,
    },
    onFenced: (detail) => fenced.push(detail),
  })
  delivery.poke()
  await delivery.ended()
  return new Outgoing(join(round.directory, 'outgoing'))
}

function refusal(reason: string): Error {
  const metadata = new Metadata()
  metadata.set('tributary-reason', reason)
  return Object.assign(new Error(`as the test wants: ${reason}`), { metadata })
}

describe('the sum of a round', () => {
  it('is each update times its samples, and is sent once', async () => {
    const outgoing = await deliver()
    expect(parent.offers).toEqual([['a', 'b']])
    expect(parent.bodies).toEqual([[31, 62]])
    expect(await outgoing.delivered()).toEqual({ outcome: 'accepted', detail: '', to: 'hub' })
    await deliver()
    expect(parent.offers).toHaveLength(1)
  })

  it('leaves out who counts already, before a byte is sent', async () => {
    parent.offerAnswers = [{ counted: ['a'] }]
    await deliver()
    expect(parent.offers).toEqual([['a', 'b'], ['b']])
    expect(parent.bodies).toEqual([[30, 60]])
  })

  it('is offered again without those who came to count while it was on its way', async () => {
    parent.replies = [{ status: 409, title: 'MembersCounted' }]
    parent.offerAnswers = [{}, { counted: ['b'] }]
    const outgoing = await deliver()
    expect(parent.offers).toEqual([['a', 'b'], ['a', 'b'], ['a']])
    expect(parent.bodies).toEqual([
      [31, 62],
      [1, 2],
    ])
    expect((await outgoing.delivered())?.outcome).toBe('accepted')
  })

  it('is not made when nobody is left', async () => {
    parent.offerAnswers = [{ counted: ['a', 'b'] }]
    const outgoing = await deliver()
    expect(parent.bodies).toEqual([])
    expect((await outgoing.delivered())?.outcome).toBe('nothing')
  })

  it.each([
    ['when it is offered', () => (parent.offerAnswers = [refusal('RoundClosed')])],
    ['when it is sent', () => (parent.replies = [{ status: 410, title: 'RoundClosed' }])],
  ])('may be late: the parent says so %s', async (_when, script) => {
    script()
    expect((await (await deliver()).delivered())?.outcome).toBe('late')
  })

  it('says for good that another controller has taken over', async () => {
    parent.replies = [{ status: 403, title: 'EpochFenced' }]
    expect((await (await deliver()).delivered())?.detail).toContain('EpochFenced')
    expect(fenced).toEqual(['as the test wants'])
  })

  it('has the same bytes after a crash, whatever came of the answer', async () => {
    parent.replies = [{ status: 403, title: 'NotThisController' }]
    const outgoing = await deliver()
    const before = await outgoing.sum()
    await rm(join(round.directory, 'outgoing', 'delivered.json'))
    await rm(join(round.directory, 'outgoing', 'sum.json'))
    await deliver()
    expect(await outgoing.sum()).toEqual(before)
    expect(parent.offers).toHaveLength(1)
    expect(parent.bodies).toEqual([
      [31, 62],
      [31, 62],
    ])
  })

  it('goes to another parent, too, until its round is settled', async () => {
    await deliver()
    parent.place = 'city/2'
    await deliver()
    expect(parent.bodies).toHaveLength(2)
    settled = 1
    parent.place = 'city/3'
    const outgoing = await deliver()
    expect(parent.bodies).toHaveLength(2)
    expect(await outgoing.sum()).toBeUndefined()
  })

  it('is not sent any more when its round is settled without it', async () => {
    settled = 1
    const outgoing = await deliver()
    expect(parent.offers).toEqual([])
    expect((await outgoing.delivered())?.outcome).toBe('settled')
  })
})

describe('updates that came when their round was closed', () => {
  const late = () => new Outgoing(join(round.directory, 'late', '1', 'outgoing'))

  beforeEach(async () => {
    await deliver()
    await accept('c', 2, [5, 6])
    await accept('d', 1, [1, 1])
  })

  it('are a sum of their own of the same round, sent once', async () => {
    await deliver()
    expect(parent.offers).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ])
    expect(parent.bodies.at(-1)).toEqual([11, 13])
    expect((await late().delivered())?.outcome).toBe('accepted')
    await deliver()
    expect(parent.offers).toHaveLength(2)
  })

  it('are another sum when more of them come', async () => {
    await deliver()
    await accept('e', 1, [7, 7])
    await deliver()
    expect(parent.offers.at(-1)).toEqual(['e'])
    expect(parent.bodies.at(-1)).toEqual([7, 7])
  })

  it('stay together as they were offered first, whatever came of the answer and whoever came meanwhile', async () => {
    parent.replies = [{ status: 403, title: 'NotThisController' }]
    await deliver()
    await rm(join(round.directory, 'late', '1', 'outgoing', 'delivered.json'))
    await accept('e', 1, [7, 7])
    await deliver()
    expect(parent.offers.slice(1)).toEqual([['c', 'd'], ['e']])
    expect(parent.bodies.slice(1)).toEqual([
      [11, 13],
      [11, 13],
      [7, 7],
    ])
  })

  it('are told of when the parent drops them', async () => {
    parent.offerAnswers = [refusal('RoundClosed')]
    await deliver()
    expect((await late().delivered())?.outcome).toBe('late')
  })

  it('go with the round when it is settled', async () => {
    await deliver()
    settled = 1
    await deliver()
    expect(await late().sum()).toBeUndefined()
    expect(await readdir(join(round.directory, 'updates', 'c'))).toEqual(['update.json'])
  })

  it('of a round that nobody was in time for are its only sum', async () => {
    const second = await Round.create(campaign.roundDirectory(2), { ...round.attempt, round: 2 })
    await second.save('short', { attempt: 1, closedMs: 0, reason: 'DeadlineExceeded' })
    campaign.rounds.set(2, second)
    round = second
    await accept('a', 1, [3, 4])
    await deliver()
    expect(parent.offers.at(-1)).toEqual(['c', 'd'])
    campaign.rounds.set(3, await Round.create(campaign.roundDirectory(3), { ...round.attempt, round: 3 }))
    await deliver()
    expect(parent.bodies.at(-1)).toEqual([3, 4])
  })
})
