// The port that is shared by calls and bytes: both protocols at once, their limits, and peers that fall silent.
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HUB_SERVER_NAME } from '#federation/wire/names.ts'
import { Link } from '#federation/wire/testing/link.ts'
import { clientsOf, http, TestParticipant } from './testing/clients.ts'
import { podToken } from './testing/fakes.ts'
import { CAMPAIGN, campaignPlan } from '#federation/tier/testing/plans.ts'
import { Story, until } from './testing/story.ts'

const NODES = Array.from({ length: 30 }, (_, i) => `node-${i}`)
const MIB = 1024 * 1024

let story: Story
/** With a campaign of many in its first round. */
async function begin(options: Parameters<typeof Story.begin>[0] = {}): Promise<void> {
  story = await Story.begin(options)
  await story.modelReady()
  const participants = NODES.map((node) => ({ node, pod: `pod-${node}` }))
  const round = {
    round: 1,
    attempt: 1,
    participants: NODES,
    minimumUpdates: 1,
    deadlineSeconds: 60,
    rounds: 3,
    population: 2,
  }
  await story.applyCampaign({ participants, round })
}
afterEach(async () => story.end())

async function connectedNodes(): Promise<string[]> {
  const { participants } = await story.campaign()
  return participants.filter(({ connected }) => connected).map(({ node }) => node)
}

async function negotiated(options: ConnectionOptions): Promise<string | false | null> {
  const { port, authority } = story.endpoint
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    ca: authority,
    servername: HUB_SERVER_NAME,
    ...options,
  })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      resolve(socket.alpnProtocol)
      socket.destroy()
    })
  })
}

describe('the shared port', () => {
  beforeEach(async () => begin())

  it.each([
    { offered: ['h2'], want: 'h2' },
    { offered: ['http/1.1'], want: 'http/1.1' },
    { offered: ['h2', 'http/1.1'], want: 'h2' },
  ])('speaks $want to a client that offers $offered', async ({ offered, want }) => {
    expect(await negotiated({ ALPNProtocols: offered })).toBe(want)
  })

  it('refuses what is neither', async () => {
    await expect(negotiated({ ALPNProtocols: ['imap'] })).rejects.toThrow()
  })

  it('carries many streams over one connection while bytes go beside them', async () => {
    const pods = NODES.map((node) => story.participant(node))
    const assignments = await Promise.all(pods.map((pod) => pod.told('train')))
    const digest = assignments[0]?.parameters?.digest ?? ''
    const blobs = await Promise.all(NODES.map(async (node) => story.blob(digest, podToken(node))))
    expect(blobs.every(({ status }) => status === 200)).toBe(true)
    expect(await connectedNodes()).toHaveLength(NODES.length)
    for (const pod of pods) pod.cancel()
    await until(async () => (await connectedNodes()).length === 0)
  })

  it('ends a stream whose message is larger than 4 MiB, and serves the next', async () => {
    const huge = story.participant('node-0')
    await huge.told('train')
    const value = { round: 1, reason: 'X', message: 'x'.repeat(5 * MIB) }
    huge.send({ kind: { $case: 'failure', value } })
    expect(await huge.ended).toMatchObject({ code: 8 })
    expect((await story.participant('node-0').told('train')).round).toBe(1)
  })

  it('refuses headers beyond 32 KiB', async () => {
    const answer = await http(story.endpoint, { path: '/', headers: { filler: 'x'.repeat(40 * 1024) } })
    expect(answer.status).toBe(431)
  })

  it('ends a stream that says hello twice', async () => {
    const pod = story.participant('node-0')
    await pod.told('train')
    pod.send({ kind: { $case: 'hello', value: { campaign: CAMPAIGN, softwareVersion: '', round: 0 } } })
    expect(await pod.ended).toMatchObject({ code: 3 })
  })
})

describe('a peer that falls silent', () => {
  beforeEach(async () => begin({ keepaliveMs: 200 }))

  it('is noticed, and its successor is served', async () => {
    const link = await Link.open({ port: story.endpoint.port })
    const clients = clientsOf({ ...story.endpoint, port: link.port })
    const pod = new TestParticipant(clients.participation, podToken('node-0'), CAMPAIGN)
    await pod.told('train')
    expect(await connectedNodes()).toEqual(['node-0'])
    link.silence()
    await until(async () => (await connectedNodes()).length === 0)
    await story.participant('node-0').told('train')
    expect(await connectedNodes()).toEqual(['node-0'])
    clients.close()
    link.close()
  })

  it('does not disturb the newer stream of the same pod when it is finally given up', async () => {
    const link = await Link.open({ port: story.endpoint.port })
    const clients = clientsOf({ ...story.endpoint, port: link.port })
    await new TestParticipant(clients.participation, podToken('node-0'), CAMPAIGN).told('train')
    link.silence()
    const successor = story.participant('node-0')
    await successor.told('train')
    link.close()
    const other = story.participant('node-1')
    await other.told('train')
    await until(async () => (await connectedNodes()).includes('node-1'))
    expect(await connectedNodes()).toEqual(['node-0', 'node-1'])
    clients.close()
  })
})

describe('a campaign of many', () => {
  beforeEach(async () => begin())

  it('answers with every participant', async () => {
    expect((await story.campaign()).participants).toHaveLength(campaignPlan().participants.length + 28)
  })
})
