// A campaign on one machine, without Kubernetes: the real hub, real training pods and a model of four features, over TLS. Tests
// say how it trains and merges, stop what they like in the middle of a round, and see what comes of it.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type Logger, pino } from 'pino'
import { expect } from 'vitest'

import { roundSeed } from '#edge-agent/train/seed.ts'
import { runTraining } from '#edge-agent/train/train.ts'
import type { StrategyConfigurationInput } from '#federation/aggregation/configuration.ts'
import type { TransferConfigurationInput } from '#federation/tensors/configuration.ts'
import {
  type CompiledModel,
  type Personalization,
  type Samples,
  type TrainRequest,
  type TrainingConfigurationInput,
  compileTraining,
  readModel,
} from '#federation/training/index.ts'
import { Random } from '#federation/training/random.ts'
import {
  type CampaignPlan,
  type CampaignState,
  HoldoutSplit,
  LateUpdates,
  type ModelReference,
  type ModelState,
  ModelState_Phase,
  RoundState_Phase,
} from '#federation/wire/generated/tributary.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import { blobPath } from '#federation/wire/names.ts'
import type { ModelCompiler } from '#federation/tier/compiler.ts'
import { startModelCompiler } from '#operator/hub/compiler-worker.ts'
import { call, clientsOf, http } from '#operator/hub/testing/clients.ts'
import { operatorToken, podToken } from '#operator/hub/testing/fakes.ts'
import type { HubOptions } from '#operator/hub/options.ts'
import { MODEL_URI, type TestHub, startTestHub } from '#operator/hub/testing/harness.ts'

export const CAMPAIGN = 'f0000000-0000-4000-8000-00000000000a'
export const MODEL = 'e0000000-0000-4000-8000-00000000000a'
export const NODES = ['edge-a', 'edge-b', 'edge-c'] as const
const FEATURES = 4
const LABELS = 2
export const LOCAL = {
  epochs: 2,
  learningRate: 0.05,
  seed: 42,
  holdoutFraction: 0.25,
  holdoutSplit: HoldoutSplit.TAIL,
}
const modelFile = readFileSync(
  new URL('../../../federation/training/testdata/regression.onnx', import.meta.url),
)

export interface CampaignSettings {
  readonly training: TrainingConfigurationInput
  readonly strategy: StrategyConfigurationInput
  readonly transfer?: TransferConfigurationInput
  readonly personalization?: Personalization
  /** Dropped unless given. */
  readonly lateUpdates?: LateUpdates
}

/** A node's rows: some function of the features, another number of rows for each node. */
function rowsOf(node: string): Samples {
  const index = NODES.indexOf(node as (typeof NODES)[number])
  const count = 30 + 7 * index
  const x = new Float32Array(count * FEATURES)
  new Random(index).fillUniform(x)
  const y = new Float32Array(count * LABELS)
  for (let row = 0; row < count; row++) {
    y[row * LABELS] = Math.fround(x[row * FEATURES]! - x[row * FEATURES + 1]!)
    y[row * LABELS + 1] = Math.fround(x[row * FEATURES + 2]! * 0.5 + index)
  }
  return { x, y, count }
}

function csvOf({ x, y, count }: Samples): string {
  const lines = ['first,target,second,third,other,fourth']
  for (let row = 0; row < count; row++) {
    const [a, b, c, d] = x.subarray(row * FEATURES, (row + 1) * FEATURES)
    const [target, other] = y.subarray(row * LABELS, (row + 1) * LABELS)
    lines.push([a, target, b, c, other, d].join(','))
  }
  return lines.join('\n')
}

type LocalRequest = Pick<TrainRequest, 'samples' | 'epochs' | 'learningRate' | 'seed'>

/** What a node is asked in a round, for a test that trains by itself. */
export function localRequest(node: string, round: number): LocalRequest {
  const rows = rowsOf(node)
  const count = rows.count - Math.floor(rows.count * LOCAL.holdoutFraction)
  const samples = { x: rows.x.subarray(0, count * FEATURES), y: rows.y.subarray(0, count * LABELS), count }
  const { epochs, learningRate } = LOCAL
  return { samples, epochs, learningRate, seed: roundSeed(LOCAL.seed, round, node) }
}

export class LocalCampaign {
  readonly settings: CampaignSettings
  readonly hub: TestHub
  readonly folder: string
  readonly log: Logger
  readonly stop = new AbortController()
  /** What must have ended before the test is over. */
  readonly running: Promise<unknown>[] = []
  readonly clients: ReturnType<typeof clientsOf>
  /** How much faster than it is the pods take time to pass while a parent is silent. */
  clockSpeed = 1

  readonly #compiler: ModelCompiler

  private constructor(
    settings: CampaignSettings,
    { hub, compiler }: { hub: TestHub; compiler: ModelCompiler },
    folder: string,
  ) {
    this.settings = settings
    this.#compiler = compiler
    this.hub = hub
    this.folder = folder
    this.log = pino({ level: process.env['EDGE_TEST_LOG'] ?? 'silent' })
    this.clients = clientsOf({ port: hub.hub.port, authority: hub.authority })
  }

  /** With the model admitted and the campaign planned, but no round yet. */
  static async begin(settings: CampaignSettings, changes: Partial<HubOptions> = {}): Promise<LocalCampaign> {
    // One for every hub that is started on the volume: a hub closes what it is given.
    const compiler = startModelCompiler()
    const lasting = { ...compiler, close: () => Promise.resolve() }
    const hub = await startTestHub({ compiler: lasting, port: await freePort(), ...changes })
    hub.files.set(MODEL_URI, modelFile)
    const folder = await mkdtemp(join(tmpdir(), 'campaign-'))
    const campaign = new LocalCampaign(settings, { hub, compiler }, folder)
    await campaign.#admitModel()
    await campaign.apply(campaign.planOf(1, { round: undefined }))
    return campaign
  }

  async end(): Promise<void> {
    this.stop.abort(new Error('the test is over'))
    await Promise.allSettled(this.running)
    this.clients.close()
    await this.hub.close()
    await this.#compiler.close()
    await rm(this.folder, { recursive: true })
  }

  endpoint(token: string): HubEndpoint {
    const { port } = this.hub.hub
    return { host: '127.0.0.1', port, authority: this.hub.authority, readToken: async () => token }
  }

  /** @param parent where the pod goes at first; the hub unless given */
  async startPod(
    node: string,
    signal: AbortSignal = this.stop.signal,
    parent: HubEndpoint = this.endpoint(podToken(node)),
  ): Promise<string> {
    const path = join(this.folder, `${node}.csv`)
    await writeFile(path, csvOf(rowsOf(node)))
    const pod = runTraining({
      hub: parent,
      campaign: CAMPAIGN,
      node,
      dataset: JSON.stringify({ path, labelColumns: ['target', 'other'] }),
      dataFolder: this.folder,
      workFolder: this.workFolder(node),
      threadEntry: new URL('../../../edge-agent/train/thread.ts', import.meta.url),
      softwareVersion: 'test',
      log: this.log.child({ node }),
      random: Math.random,
      now: () => performance.now() * this.clockSpeed,
      signal,
    })
    this.running.push(pod)
    return await pod
  }

  workFolder(node: string): string {
    return join(this.folder, `work-${node}`)
  }

  planOf(round: number, changes: Partial<CampaignPlan> = {}): CampaignPlan {
    const { training, strategy, transfer, personalization, lateUpdates } = this.settings
    const size = NODES.length
    return {
      uid: CAMPAIGN,
      namespace: 'city',
      name: 'campaign',
      modelUid: MODEL,
      training: {
        training: JSON.stringify(training),
        local: LOCAL,
        schedule: JSON.stringify({ type: 'Constant' }),
        strategy: JSON.stringify(strategy),
        transfer: JSON.stringify(transfer ?? {}),
        ...(personalization && { personalization: JSON.stringify(personalization) }),
      },
      participants: NODES.map((node) => ({ node, pod: `pod-${node}` })),
      round: {
        ...{ round, attempt: 1, participants: [...NODES], minimumUpdates: size, deadlineSeconds: 60 },
        ...{ rounds: 10, population: size },
      },
      finished: false,
      finishedReason: '',
      controllersStay: false,
      evaluationDeadlineSeconds: 60,
      tiers: [],
      lateUpdates: lateUpdates ?? LateUpdates.DROP,
      ...changes,
    }
  }

  async apply(plan: CampaignPlan): Promise<CampaignState> {
    return await call(this.clients.control.applyCampaign.bind(this.clients.control), plan, operatorToken)
  }

  async delete(): Promise<void> {
    await call(
      this.clients.control.deleteCampaign.bind(this.clients.control),
      { uid: CAMPAIGN },
      operatorToken,
    )
  }

  async state(): Promise<CampaignState> {
    const get = this.clients.control.getCampaign.bind(this.clients.control)
    return await call(get, { uid: CAMPAIGN }, operatorToken)
  }

  async model(): Promise<ModelState> {
    const get = this.clients.control.getModel.bind(this.clients.control)
    return await call<ModelReference, ModelState>(get, { uid: MODEL }, operatorToken)
  }

  async compileByHand(): Promise<CompiledModel> {
    return await compileTraining(readModel(modelFile), this.settings.training)
  }

  /** The state once the round is done. */
  async finishRound(round: number): Promise<CampaignState> {
    await this.apply(this.planOf(round))
    const done = async () => {
      const { current } = await this.state()
      return [current?.round, current?.phase]
    }
    await expect.poll(done, { timeout: 60_000 }).toEqual([round, RoundState_Phase.DONE])
    return await this.state()
  }

  /** The same, with the hub and the first node's pod stopped once an update is in; both come back. */
  async finishDisturbedRound(round: number): Promise<CampaignState> {
    const killed = new AbortController()
    const first = this.startPod(NODES[0], killed.signal)
    await this.apply(this.planOf(round))
    await expect
      .poll(async () => (await this.state()).current?.received, { timeout: 60_000 })
      .toBeGreaterThan(0)
    killed.abort(new Error('the pod is stopped'))
    await expect(first).rejects.toThrow('the pod is stopped')
    await this.hub.restart()
    const again = new AbortController()
    const second = this.startPod(NODES[0], again.signal)
    const state = await this.finishRound(round)
    again.abort(new Error('stopped'))
    await expect(second).rejects.toThrow('stopped')
    return state
  }

  async parameters(digest: string): Promise<Float32Array> {
    const { port } = this.hub.hub
    const endpoint = { port, authority: this.hub.authority }
    const { body } = await http(endpoint, { path: blobPath(digest), token: operatorToken })
    return new Float32Array(Uint8Array.from(body).buffer)
  }

  async #admitModel(): Promise<void> {
    const plan = { uid: MODEL, namespace: 'city', name: 'traffic', storageUri: MODEL_URI, digest: '' }
    const applied = { ...plan, servingNodes: ['edge-a'] }
    await call(this.clients.control.applyModel.bind(this.clients.control), applied, operatorToken)
    await expect
      .poll(async () => (await this.model()).phase, { timeout: 30_000 })
      .toBe(ModelState_Phase.READY)
  }
}

/** A port for a hub that comes back under the same address. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
