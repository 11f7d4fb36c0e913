// The main job on one machine, without Kubernetes: the real hub, three real training pods and a real agent over TLS. The
// merged parameters must equal, bit for bit, what this test computes by itself from the same rows.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { runAgent } from '#edge-agent/agent/agent.ts'
import { roundSeed } from '#edge-agent/train/seed.ts'
import { runTraining } from '#edge-agent/train/train.ts'
import {
  type CompiledModel,
  LocalTrainer,
  type Samples,
  compileTraining,
  readModel,
} from '#federation/training/index.ts'
import { Random } from '#federation/training/random.ts'
import { digestOf } from '#federation/wire/digest.ts'
import {
  type CampaignPlan,
  type CampaignState,
  HoldoutSplit,
  type ModelReference,
  type ModelState,
  ModelState_Phase,
  type ModelVersion,
  type PublishRequest,
  RoundState_Phase,
} from '#federation/wire/generated/tributary.ts'
import { startModelCompiler } from '#operator/hub/compiler-worker.ts'
import { call, clientsOf } from '#operator/hub/testing/clients.ts'
import { agentToken, operatorToken, podToken } from '#operator/hub/testing/fakes.ts'
import { MODEL_URI, type TestHub, startTestHub } from '#operator/hub/testing/harness.ts'

const CAMPAIGN = 'f0000000-0000-4000-8000-00000000000a'
const MODEL = 'e0000000-0000-4000-8000-00000000000a'
const NODES = ['edge-a', 'edge-b', 'edge-c'] as const
const ROUNDS = 3
const FEATURES = 4
const LABELS = 2
const LOCAL = {
  epochs: 2,
  learningRate: 0.05,
  seed: 42,
  holdoutFraction: 0.25,
  holdoutSplit: HoldoutSplit.TAIL,
}
const TRAINING = {
  loss: { type: 'MeanSquaredError' },
  optimizer: { type: 'SGD', momentum: 0.9 },
  batchSize: 8,
} as const
const log = pino({ level: process.env['EDGE_TEST_LOG'] ?? 'silent' })
const modelFile = readFileSync(new URL('../../federation/training/testdata/regression.onnx', import.meta.url))

let hub: TestHub
let clients: ReturnType<typeof clientsOf>
let folder: string
let stop: AbortController
let running: Promise<unknown>[]

beforeEach(async () => {
  const compiler = startModelCompiler()
  hub = await startTestHub({ compiler, port: await freePort() })
  hub.files.set(MODEL_URI, modelFile)
  clients = clientsOf({ port: hub.hub.port, authority: hub.authority })
  folder = await mkdtemp(join(tmpdir(), 'campaign-'))
  stop = new AbortController()
  running = []
})

afterEach(async () => {
  stop.abort(new Error('the test is over'))
  await Promise.allSettled(running)
  clients.close()
  await hub.close()
  await rm(folder, { recursive: true })
})

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

function hubAs(token: string) {
  return { host: '127.0.0.1', port: hub.hub.port, authority: hub.authority, readToken: async () => token }
}

async function startPod(node: string, signal: AbortSignal = stop.signal): Promise<string> {
  const path = join(folder, `${node}.csv`)
  await writeFile(path, csvOf(rowsOf(node)))
  const pod = runTraining({
    hub: hubAs(podToken(node)),
    campaign: CAMPAIGN,
    node,
    dataset: JSON.stringify({ path, labelColumns: ['target', 'other'] }),
    dataFolder: folder,
    workFolder: join(folder, `work-${node}`),
    threadEntry: new URL('../../edge-agent/train/thread.ts', import.meta.url),
    softwareVersion: 'test',
    log: log.child({ node }),
    random: Math.random,
    signal,
  })
  running.push(pod)
  return await pod
}

function planOf(round: number, changes: Partial<CampaignPlan> = {}): CampaignPlan {
  return {
    uid: CAMPAIGN,
    namespace: 'city',
    name: 'campaign',
    modelUid: MODEL,
    training: {
      training: JSON.stringify(TRAINING),
      local: LOCAL,
      aggregationStrategy: 'FedAvg',
    },
    participants: NODES.map((node) => ({ node, pod: `pod-${node}` })),
    round: { round, attempt: 1, participants: [...NODES], minimumUpdates: NODES.length, deadlineSeconds: 60 },
    finished: false,
    finishedReason: '',
    evaluationDeadlineSeconds: 60,
    ...changes,
  }
}

async function apply(plan: CampaignPlan): Promise<CampaignState> {
  return await call(clients.control.applyCampaign.bind(clients.control), plan, operatorToken)
}

async function campaign(): Promise<CampaignState> {
  return await call(clients.control.getCampaign.bind(clients.control), { uid: CAMPAIGN }, operatorToken)
}

async function model(): Promise<ModelState> {
  return await call<ModelReference, ModelState>(
    clients.control.getModel.bind(clients.control),
    { uid: MODEL },
    operatorToken,
  )
}

async function publish(round: number): Promise<ModelVersion> {
  return await call<PublishRequest, ModelVersion>(
    clients.control.publishVersion.bind(clients.control),
    { modelUid: MODEL, campaign: CAMPAIGN, round },
    operatorToken,
  )
}

async function admitModel(): Promise<void> {
  const plan = { uid: MODEL, namespace: 'city', name: 'traffic', storageUri: MODEL_URI, digest: '' }
  const applied = { ...plan, servingNodes: ['edge-a'] }
  await call(clients.control.applyModel.bind(clients.control), applied, operatorToken)
  await expect.poll(async () => (await model()).phase, { timeout: 20_000 }).toBe(ModelState_Phase.READY)
}

/** One round as the definition says: every node trains alone, then the mean of what each learned, weighted by samples. */
async function roundByHand(
  compiled: CompiledModel,
  parameters: Float32Array,
  round: number,
): Promise<Float32Array> {
  const trainer = await LocalTrainer.load(compiled)
  const sum = new Float64Array(parameters.length)
  let weight = 0
  for (const node of NODES) {
    const rows = rowsOf(node)
    const count = rows.count - Math.floor(rows.count * LOCAL.holdoutFraction)
    const samples = { x: rows.x.subarray(0, count * FEATURES), y: rows.y.subarray(0, count * LABELS), count }
    const { epochs, learningRate } = LOCAL
    const seed = roundSeed(LOCAL.seed, round, node)
    const result = await trainer.trainEpochs({ parameters, samples, epochs, learningRate, seed })
    const learned = result.parameters.map((value, index) => value - parameters[index]!)
    for (const [index, value] of learned.entries()) sum[index]! += value * count
    weight += count
  }
  await trainer.close()
  return Float32Array.from(sum, (value, index) => parameters[index]! + value / weight)
}

async function compileByHand(): Promise<CompiledModel> {
  return await compileTraining(readModel(modelFile), TRAINING)
}

async function finishRound(round: number): Promise<CampaignState> {
  await apply(planOf(round))
  const done = async () => {
    const { current } = await campaign()
    return [current?.round, current?.phase]
  }
  await expect.poll(done, { timeout: 40_000 }).toEqual([round, RoundState_Phase.DONE])
  return await campaign()
}

describe('a campaign on one machine', () => {
  it('merges exactly what the definition says, round after round, and its model answers on a node', async () => {
    await admitModel()
    await apply(planOf(1, { round: undefined }))
    const pods = NODES.map(async (node) => await startPod(node))
    const compiled = await compileByHand()
    let parameters: Float32Array = new Float32Array(compiled.initialParameters.slice().buffer)
    const losses: number[] = []
    for (let round = 1; round <= ROUNDS; round++) {
      const { current } = await finishRound(round)
      parameters = await roundByHand(compiled, parameters, round)
      expect(current).toMatchObject({ received: NODES.length, evaluations: NODES.length })
      expect(current?.parametersDigest).toBe(digestOf(new Uint8Array(parameters.buffer)))
      losses.push(current?.metrics['loss'] ?? NaN)
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]!)

    const version = await publish(ROUNDS)
    const answer = await askAgent(version.digest)
    expect(answer).toMatchObject({ model_name: 'traffic', model_version: '2' })

    await apply(planOf(ROUNDS, { finished: true, finishedReason: 'Completed' }))
    expect(await Promise.all(pods)).toEqual(['Completed', 'Completed', 'Completed'])
  })

  it('gives the same bits when the hub and a pod are stopped in the middle of every round', async () => {
    await admitModel()
    await apply(planOf(1, { round: undefined }))
    const steady = NODES.slice(1).map(async (node) => await startPod(node))
    const compiled = await compileByHand()
    let parameters: Float32Array = new Float32Array(compiled.initialParameters.slice().buffer)
    for (let round = 1; round <= ROUNDS; round++) {
      const killed = new AbortController()
      const first = startPod(NODES[0], killed.signal)
      await apply(planOf(round))
      await expect
        .poll(async () => (await campaign()).current?.received, { timeout: 30_000 })
        .toBeGreaterThan(0)
      killed.abort(new Error('the pod is stopped'))
      await expect(first).rejects.toThrow('the pod is stopped')
      await hub.restart()
      const again = new AbortController()
      const second = startPod(NODES[0], again.signal)
      const { current } = await finishRound(round)
      parameters = await roundByHand(compiled, parameters, round)
      expect(current?.parametersDigest).toBe(digestOf(new Uint8Array(parameters.buffer)))
      expect(current?.received).toBe(NODES.length)
      again.abort(new Error('stopped'))
      await expect(second).rejects.toThrow('stopped')
    }
    await apply(planOf(ROUNDS, { finished: true, finishedReason: 'Completed' }))
    expect(await Promise.all(steady)).toEqual(['Completed', 'Completed'])
  }, 180_000)
})

/** A port for a hub that comes back under the same address. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts an agent and asks it once the hub knows that it has loaded this model. */
async function askAgent(digest: string): Promise<unknown> {
  const listening = Promise.withResolvers<number>()
  running.push(
    runAgent({
      hub: hubAs(agentToken('edge-a')),
      keys: [hub.verificationKey],
      stateFolder: join(folder, 'agent'),
      port: 0,
      onListening: listening.resolve,
      threadEntry: new URL('../../edge-agent/agent/thread.ts', import.meta.url),
      softwareVersion: 'test',
      log: log.child({ agent: 'edge-a' }),
      random: Math.random,
      signal: stop.signal,
    }),
  )
  const loaded = async () => (await model()).agents.find(({ node }) => node === 'edge-a')?.digest
  await expect.poll(loaded, { timeout: 20_000 }).toBe(digest)
  const url = `http://127.0.0.1:${await listening.promise}/v2/models/traffic`
  const metadata = (await (await fetch(url)).json()) as { inputs: { name: string }[] }
  const inputs = [
    { name: metadata.inputs[0]?.name, shape: [1, 4], datatype: 'FP32', data: [[0.1, 0.2, 0.3, 0.4]] },
  ]
  const response = await fetch(`${url}/infer`, { method: 'POST', body: JSON.stringify({ inputs }) })
  expect(response.status).toBe(200)
  return await response.json()
}
