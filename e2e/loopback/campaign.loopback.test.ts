// The main job on one machine, without Kubernetes: the real hub, three real training pods and a real agent over TLS. The
// merged parameters must equal, bit for bit, what this test computes by itself from the same rows.
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { runAgent } from '#edge-agent/agent/agent.ts'
import { type CompiledModel, LocalTrainer } from '#federation/training/index.ts'
import { digestOf } from '#federation/wire/digest.ts'
import type { ModelVersion, PublishRequest } from '#federation/wire/generated/tributary.ts'
import { call } from '#operator/hub/testing/clients.ts'
import { agentToken, operatorToken } from '#operator/hub/testing/fakes.ts'

import { CAMPAIGN, LocalCampaign, MODEL, NODES, localRequest } from './testing/local-campaign.ts'

const ROUNDS = 3

let campaign: LocalCampaign

beforeEach(async () => {
  campaign = await LocalCampaign.begin({
    training: {
      loss: { type: 'MeanSquaredError' },
      optimizer: { type: 'SGD', momentum: 0.9 },
      batchSize: 8,
    },
    strategy: { type: 'FedAvg' },
  })
})

afterEach(async () => {
  await campaign.end()
})

async function publish(round: number): Promise<ModelVersion> {
  const { control } = campaign.clients
  const request = { modelUid: MODEL, campaign: CAMPAIGN, round }
  return await call<PublishRequest, ModelVersion>(
    control.publishVersion.bind(control),
    request,
    operatorToken,
  )
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
    const request = localRequest(node, round)
    const result = await trainer.trainEpochs({ ...request, parameters })
    const learned = result.parameters.map((value, index) => value - parameters[index]!)
    for (const [index, value] of learned.entries()) sum[index]! += value * request.samples.count
    weight += request.samples.count
  }
  await trainer.close()
  return Float32Array.from(sum, (value, index) => parameters[index]! + value / weight)
}

describe('a campaign on one machine', () => {
  it('merges exactly what the definition says, round after round, and its model answers on a node', async () => {
    const pods = NODES.map(async (node) => await campaign.startPod(node))
    const compiled = await campaign.compileByHand()
    let parameters: Float32Array = new Float32Array(compiled.initialParameters.slice().buffer)
    const losses: number[] = []
    for (let round = 1; round <= ROUNDS; round++) {
      const { current } = await campaign.finishRound(round)
      parameters = await roundByHand(compiled, parameters, round)
      expect(current).toMatchObject({ received: NODES.length, evaluations: NODES.length })
      expect(current?.parametersDigest).toBe(digestOf(new Uint8Array(parameters.buffer)))
      losses.push(current?.metrics['loss'] ?? NaN)
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]!)

    const version = await publish(ROUNDS)
    const answer = await askAgent(version.digest)
    expect(answer).toMatchObject({ model_name: 'traffic', model_version: '2' })

    await campaign.apply(campaign.planOf(ROUNDS, { finished: true, finishedReason: 'Completed' }))
    expect(await Promise.all(pods)).toEqual(['Completed', 'Completed', 'Completed'])
  })

  it('gives the same bits when the hub and a pod are stopped in the middle of every round', async () => {
    const steady = NODES.slice(1).map(async (node) => await campaign.startPod(node))
    const compiled = await campaign.compileByHand()
    let parameters: Float32Array = new Float32Array(compiled.initialParameters.slice().buffer)
    for (let round = 1; round <= ROUNDS; round++) {
      const { current } = await campaign.finishDisturbedRound(round)
      parameters = await roundByHand(compiled, parameters, round)
      expect(current?.parametersDigest).toBe(digestOf(new Uint8Array(parameters.buffer)))
      expect(current?.received).toBe(NODES.length)
    }
    await campaign.apply(campaign.planOf(ROUNDS, { finished: true, finishedReason: 'Completed' }))
    expect(await Promise.all(steady)).toEqual(['Completed', 'Completed'])
  }, 180_000)
})

/** Starts an agent and asks it once the hub knows that it has loaded this model. */
async function askAgent(digest: string): Promise<unknown> {
  const listening = Promise.withResolvers<number>()
  campaign.running.push(
    runAgent({
      hub: campaign.endpoint(agentToken('edge-a')),
      keys: [campaign.hub.verificationKey],
      stateFolder: join(campaign.folder, 'agent'),
      port: 0,
      onListening: listening.resolve,
      threadEntry: new URL('../../edge-agent/agent/thread.ts', import.meta.url),
      softwareVersion: 'test',
      log: campaign.log.child({ agent: 'edge-a' }),
      random: Math.random,
      signal: campaign.stop.signal,
    }),
  )
  const loaded = async () => (await campaign.model()).agents.find(({ node }) => node === 'edge-a')?.digest
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
