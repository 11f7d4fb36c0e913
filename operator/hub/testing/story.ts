// A hub, a model and a campaign to tell stories with: what the operator plans and what training pods do.
import {
  ModelState_Phase,
  type CampaignPlan,
  type CampaignReference,
  type CampaignState,
  type DesiredModels,
  type ModelPlan,
  type ModelReference,
  type ModelState,
  type ModelVersion,
  type PublishRequest,
} from '#federation/wire/generated/tributary.ts'
import { CAMPAIGN, campaignPlan, MODEL } from '#federation/tier/testing/plans.ts'
import { blobPath } from '#federation/wire/names.ts'
import type { HubOptions } from '../options.ts'
import {
  bearer,
  call,
  clientsOf,
  http,
  TestParticipant,
  type Answer,
  type Endpoint,
  type TestUpdate,
} from './clients.ts'
import { agentToken, operatorToken, podToken } from './fakes.ts'
import { MODEL_URI, startTestHub, type TestHub } from './harness.ts'

export function modelPlan(changes: Partial<ModelPlan> = {}): ModelPlan {
  const names = { namespace: 'city', name: 'traffic' }
  return { uid: MODEL, ...names, storageUri: MODEL_URI, digest: '', servingNodes: ['a', 'b'], ...changes }
}

type Clients = ReturnType<typeof clientsOf>

interface Following {
  readonly desired: DesiredModels[]
  readonly stream: ReturnType<Clients['distribution']['follow']>
}

export class Story {
  readonly test: TestHub
  #clients: Clients

  private constructor(test: TestHub) {
    this.test = test
    this.#clients = clientsOf(this.endpoint)
  }

  static async begin(changes: Partial<HubOptions> = {}): Promise<Story> {
    return new Story(await startTestHub(changes))
  }

  get endpoint(): Endpoint {
    return { port: this.test.hub.port, authority: this.test.authority }
  }

  get clients(): Clients {
    return this.#clients
  }

  async end(): Promise<void> {
    this.#clients.close()
    await this.test.close()
  }

  async restart(): Promise<void> {
    this.#clients.close()
    await this.test.restart()
    this.#clients = clientsOf(this.endpoint)
  }

  async applyModel(plan = modelPlan(), token = operatorToken): Promise<ModelState> {
    return call<ModelPlan, ModelState>(
      this.#clients.control.applyModel.bind(this.#clients.control),
      plan,
      token,
    )
  }

  async model(): Promise<ModelState> {
    const get = this.#clients.control.getModel.bind(this.#clients.control)
    return call<ModelReference, ModelState>(get, { uid: MODEL }, operatorToken)
  }

  async modelReady(): Promise<void> {
    await this.applyModel()
    await until(async () => (await this.model()).phase === ModelState_Phase.READY)
  }

  async applyCampaign(changes: Partial<CampaignPlan> = {}, token = operatorToken): Promise<CampaignState> {
    const apply = this.#clients.control.applyCampaign.bind(this.#clients.control)
    return call<CampaignPlan, CampaignState>(apply, campaignPlan(changes), token)
  }

  async campaign(): Promise<CampaignState> {
    const get = this.#clients.control.getCampaign.bind(this.#clients.control)
    return call<CampaignReference, CampaignState>(get, { uid: CAMPAIGN }, operatorToken)
  }

  async publish(round: number): Promise<ModelVersion> {
    const publish = this.#clients.control.publishVersion.bind(this.#clients.control)
    const request = { modelUid: MODEL, campaign: CAMPAIGN, round }
    return call<PublishRequest, ModelVersion>(publish, request, operatorToken)
  }

  /** Waits until the campaign's current round is in this phase. */
  async phase(phase: NonNullable<CampaignState['current']>['phase']): Promise<CampaignState> {
    await until(async () => (await this.campaign()).current?.phase === phase)
    return this.campaign()
  }

  participant(node: string, round = 0): TestParticipant {
    return new TestParticipant(this.#clients.participation, podToken(node), CAMPAIGN, round)
  }

  /** What a node would send for the round that its pod was told to train. */
  async updateOf(pod: TestParticipant, node: string, bytes: Uint8Array, samples = 1): Promise<TestUpdate> {
    const { round, parameters } = await pod.told('train')
    const facts = { campaign: CAMPAIGN, round, participant: node, steps: 3, loss: 0.5 }
    return { ...facts, bytes, samples, parameters: parameters?.digest ?? '' }
  }

  async evaluate(pod: TestParticipant, samples: number, metrics: Record<string, number>): Promise<void> {
    const { round, parameters } = await pod.told('evaluate')
    const value = { round, parametersDigest: parameters?.digest ?? '', samples, metrics }
    pod.send({ kind: { $case: 'evaluation', value } })
  }

  /** What a node's agent is told to serve; with `loaded` it first reports these models of the namespace. */
  follow(node: string, loaded?: readonly string[]): Following {
    const stream = this.#clients.distribution.follow(bearer(agentToken(node)))
    const desired: DesiredModels[] = []
    stream.on('data', (message: DesiredModels) => desired.push(message))
    stream.on('error', () => undefined)
    const facts = { version: 1, digest: '', failureReason: '', failureMessage: '', failedVersion: 0 }
    const models = loaded?.map((name) => ({ namespace: 'city', name, ...facts }))
    if (models) stream.write({ softwareVersion: 'test', models })
    return { desired, stream }
  }

  async blob(digest: string, token = operatorToken): Promise<Answer> {
    return http(this.endpoint, { path: blobPath(digest), token })
  }
}

/** Asks again and again; the test's own time-out is the end. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}
