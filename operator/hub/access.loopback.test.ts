// Who may ask the hub for what, over real TLS: the operator, the planned pods, the agents, and nobody else; and what anybody
// may read on the plain port.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bearer, http, TestParticipant } from './testing/clients.ts'
import { agentToken, operatorToken, podToken } from './testing/fakes.ts'
import { CAMPAIGN } from '#federation/tier/testing/plans.ts'
import { modelPlan, Story, until } from './testing/story.ts'

let story: Story
beforeEach(async () => {
  story = await Story.begin()
})
afterEach(async () => story.end())

describe('health', () => {
  it('is served on a plain port, with metrics', async () => {
    await story.modelReady()
    await story.applyCampaign()
    await until(async () => (await story.campaign()).current !== undefined)
    const base = `http://127.0.0.1:${story.test.hub.healthPort}`
    expect((await fetch(`${base}/healthz`)).status).toBe(200)
    expect((await fetch(`${base}/readyz`)).status).toBe(200)
    const metrics = await (await fetch(`${base}/metrics`)).text()
    expect(metrics).toContain('tributary_hub_rounds{phase="Collecting"} 1')
    expect((await fetch(`${base}/etc/passwd`)).status).toBe(404)
  })
})

describe('who may call', () => {
  it.each([
    { name: 'no token', headers: {}, status: 401 },
    { name: 'a token that is not one', headers: { authorization: 'Bearer !!' }, status: 401 },
  ])('$name: $status', async ({ headers, status }) => {
    const path = `/v1alpha1/blobs/sha256/${'0'.repeat(64)}`
    expect((await http(story.endpoint, { path, headers })).status).toBe(status)
  })

  it('only the operator may plan', async () => {
    await expect(story.applyModel(modelPlan(), podToken('a'))).rejects.toMatchObject({ code: 7 })
    await expect(story.applyCampaign({}, agentToken('a'))).rejects.toMatchObject({ code: 7 })
  })

  it('only agents may follow what a node should serve', async () => {
    for (const token of [podToken('a'), operatorToken]) {
      const stream = story.clients.distribution.follow(bearer(token))
      stream.resume()
      const error = await new Promise<unknown>((resolve) => stream.once('error', resolve))
      expect(error).toMatchObject({ code: 7 })
    }
  })

  it('only the planned pod of a node in the namespace may take part', async () => {
    await story.modelReady()
    await story.applyCampaign()
    const strangers = [
      podToken('c'),
      podToken('a', 'pod-b'),
      podToken('a', 'pod-a', 'elsewhere'),
      operatorToken,
    ]
    for (const token of strangers) {
      const stream = new TestParticipant(story.clients.participation, token, CAMPAIGN)
      expect(await stream.ended).toMatchObject({ code: 7 })
    }
  })

  it('a pod that is no longer planned is shown out', async () => {
    await story.modelReady()
    await story.applyCampaign()
    const b = story.participant('b')
    await b.told('train')
    await story.applyCampaign({ participants: [{ node: 'a', pod: 'pod-a' }] })
    expect(await b.ended).toMatchObject({ code: 7 })
  })

  it('a training pod reads what its campaign names and nothing else', async () => {
    await story.modelReady()
    await story.applyCampaign()
    const { parameters } = await story.participant('a').told('train')
    const version = (await story.model()).versions[0]
    expect((await story.blob(parameters?.digest ?? '', podToken('a'))).status).toBe(200)
    expect((await story.blob(parameters?.digest ?? '', podToken('c'))).status).toBe(404)
    expect((await story.blob(version?.digest ?? '', agentToken('z'))).status).toBe(200)
    expect((await story.blob(parameters?.digest ?? '', agentToken('z'))).status).toBe(404)
  })

  it('a plan that makes no sense is refused, naming the field', async () => {
    await expect(story.applyCampaign({ uid: '../../etc' })).rejects.toMatchObject({
      code: 3,
      details: expect.stringContaining('uid') as string,
    })
    const round = {
      round: 3,
      attempt: 1,
      participants: ['a'],
      minimumUpdates: 1,
      deadlineSeconds: 60,
      rounds: 3,
      population: 2,
    }
    await expect(story.applyCampaign({ round })).rejects.toMatchObject({
      details: expect.stringContaining('the next round is 1') as string,
    })
  })
})
