// The whole of a campaign over real TLS: plan, train, merge, evaluate, publish, follow.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyManifest } from '#federation/artefact/manifest.ts'
import {
  HoldoutSplit,
  ModelState_Phase,
  RoundState_Phase,
  type CampaignPlan,
  type CampaignState,
  type DesiredModels,
  type ModelPlan,
  type ModelReference,
  type ModelState,
} from '#federation/wire/generated/tributary.ts'
import { blobPath } from '#federation/wire/names.ts'
import {
  bearer,
  call,
  clientsOf,
  floats,
  http,
  patch,
  TestParticipant,
  type Endpoint,
} from './testing/clients.ts'
import { agentToken, operatorToken, podToken } from './testing/fakes.ts'
import { MODEL_URI, startTestHub, type TestHub } from './testing/harness.ts'

const CAMPAIGN = 'f0000000-0000-4000-8000-000000000001'
const MODEL = 'e0000000-0000-4000-8000-000000000001'

let test: TestHub
let clients: ReturnType<typeof clientsOf>

beforeEach(async () => {
  test = await startTestHub()
  clients = clientsOf(endpoint())
})

afterEach(async () => {
  clients.close()
  await test.close()
})

function endpoint(): Endpoint {
  return { port: test.hub.port, authority: test.authority }
}

function modelPlan(): ModelPlan {
  const names = { namespace: 'city', name: 'traffic' }
  return { uid: MODEL, ...names, storageUri: MODEL_URI, digest: '', servingNodes: ['a', 'b'] }
}

function campaignPlan(changes: Partial<CampaignPlan> = {}): CampaignPlan {
  const local = {
    epochs: 1,
    batchSize: 8,
    learningRate: 0.1,
    seed: 1,
    holdoutFraction: 0.2,
    holdoutSplit: HoldoutSplit.TAIL,
  }
  return {
    uid: CAMPAIGN,
    namespace: 'city',
    name: 'traffic-1',
    modelUid: MODEL,
    training: {
      loss: 'MeanSquaredError',
      huberDelta: 1,
      optimizer: 'SGD',
      momentum: 0,
      weightDecay: 0,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      local,
      aggregationStrategy: 'FedAvg',
    },
    participants: [
      { node: 'a', pod: 'pod-a' },
      { node: 'b', pod: 'pod-b' },
    ],
    round: { round: 1, attempt: 1, participants: ['a', 'b'], minimumUpdates: 2, deadlineSeconds: 60 },
    finished: false,
    finishedReason: '',
    evaluationDeadlineSeconds: 60,
    ...changes,
  }
}

async function applyModel(): Promise<void> {
  await call(clients.control.applyModel.bind(clients.control), modelPlan(), operatorToken)
  await expect.poll(async () => (await getModel()).phase).toBe(ModelState_Phase.READY)
}

async function getModel(): Promise<ModelState> {
  return call<ModelReference, ModelState>(
    clients.control.getModel.bind(clients.control),
    { uid: MODEL },
    operatorToken,
  )
}

async function applyCampaign(changes: Partial<CampaignPlan> = {}): Promise<CampaignState> {
  return call(clients.control.applyCampaign.bind(clients.control), campaignPlan(changes), operatorToken)
}

async function getCampaign(): Promise<CampaignState> {
  return call(clients.control.getCampaign.bind(clients.control), { uid: CAMPAIGN }, operatorToken)
}

function participant(node: string): TestParticipant {
  return new TestParticipant(clients.participation, podToken(node), CAMPAIGN)
}

async function sendUpdate(
  pod: TestParticipant,
  node: string,
  update: { bytes: Buffer; samples: number },
): Promise<number> {
  const { round, parameters } = await pod.told('train')
  const facts = { campaign: CAMPAIGN, participant: node, loss: 0.5, parameters: parameters?.digest ?? '' }
  const answer = await patch(endpoint(), { ...facts, round, ...update }, { token: podToken(node) })
  return answer.status
}

async function evaluate(pod: TestParticipant, samples: number, loss: number): Promise<void> {
  const { round, parameters } = await pod.told('evaluate')
  const value = { round, parametersDigest: parameters?.digest ?? '', samples, metrics: { loss } }
  pod.send({ kind: { $case: 'evaluation', value } })
}

describe('a campaign', () => {
  it('goes from plan to published version', async () => {
    await applyModel()
    await applyCampaign()
    const [a, b] = [participant('a'), participant('b')]
    expect(await sendUpdate(a, 'a', { bytes: floats(1, 1, 1, 1), samples: 1 })).toBe(201)
    expect(await sendUpdate(b, 'b', { bytes: floats(4, 4, 4, 4), samples: 2 })).toBe(201)
    await Promise.all([evaluate(a, 10, 1), evaluate(b, 30, 2)])
    await expect.poll(async () => (await getCampaign()).current?.phase).toBe(RoundState_Phase.DONE)

    const { current, history } = await getCampaign()
    expect(current).toMatchObject({
      received: 2,
      wanted: 2,
      samples: 3,
      metrics: { loss: 1.75 },
      trainingLoss: 0.5,
    })
    expect(history).toHaveLength(1)
    const merged = await http(endpoint(), {
      path: blobPath(current?.parametersDigest ?? ''),
      token: operatorToken,
    })
    expect(merged.body).toEqual(floats(3, 3, 3, 3))

    const agent = clients.distribution.follow(bearer(agentToken('a')))
    const desired: DesiredModels[] = []
    agent.on('data', (message: DesiredModels) => desired.push(message))
    agent.on('error', () => undefined)
    await expect.poll(() => desired.at(-1)?.models[0]?.version).toBe(1)
    const request = { modelUid: MODEL, campaign: CAMPAIGN, round: 1 }
    const version = await call(clients.control.publishVersion.bind(clients.control), request, operatorToken)
    expect(version).toMatchObject({ version: 2, participants: 2, samples: 3, metrics: { loss: 1.75 } })
    await expect.poll(() => desired.at(-1)?.models[0]?.version).toBe(2)

    const envelope = await http(endpoint(), {
      path: blobPath(desired.at(-1)?.models[0]?.manifest?.digest ?? ''),
      token: agentToken('a'),
    })
    const manifest = verifyManifest(envelope.body, [test.verificationKey])
    expect(manifest).toMatchObject({
      namespace: 'city',
      name: 'traffic',
      version: 2,
      campaign: CAMPAIGN,
      round: 1,
    })
    agent.cancel()
    await applyCampaign({ finished: true, finishedReason: 'Completed' })
    expect((await a.told('finished')).reason).toBe('Completed')
  })
})
