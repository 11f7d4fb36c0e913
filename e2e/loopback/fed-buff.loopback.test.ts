// A campaign with FedBuff on one machine: three pods of which any two make a merge, with the hub and one pod stopped in the middle
// of every round. Who is first is chance, and so is whether an update is stale (operator/hub/fed-buff.loopback.test.ts makes
// it so); that every accepted update counted once, with its staleness, is not.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, describe, expect, it } from 'vitest'

import type { TransferConfigurationInput } from '#federation/tensors/configuration.ts'
import { LocalTrainer } from '#federation/training/index.ts'
import { type CampaignState, RoundState_Phase } from '#federation/wire/generated/tributary.ts'

import { Channel } from './testing/channel.ts'
import { CAMPAIGN, LocalCampaign, NODES, localRequest } from './testing/local-campaign.ts'

const ROUNDS = 5
const BUFFER = 2
const [DISTURBED, ...UNDISTURBED] = NODES

interface Committed {
  readonly participant: string
  readonly trainedFrom: number
}

let campaign: LocalCampaign
afterEach(async () => {
  await campaign.end()
})

async function planned(round: number): Promise<void> {
  const attempt = { round, attempt: 1, participants: [...NODES], minimumUpdates: BUFFER }
  const rest = { deadlineSeconds: 60, rounds: 10, population: NODES.length }
  await campaign.apply(campaign.planOf(round, { round: { ...attempt, ...rest } }))
}

/** The state once the round is done; one pod and the hub are stopped after its first update, and come back. */
async function finishDisturbed(round: number): Promise<CampaignState> {
  const killed = new AbortController()
  const first = campaign.startPod(DISTURBED, killed.signal)
  await planned(round)
  const received = async () => (await campaign.state()).current?.received
  await expect.poll(received, { timeout: 60_000 }).toBeGreaterThan(0)
  killed.abort(new Error('the pod is stopped'))
  await expect(first).rejects.toThrow('the pod is stopped')
  await campaign.hub.restart()
  const again = new AbortController()
  const second = campaign.startPod(DISTURBED, again.signal)
  const done = async () => {
    const { current } = await campaign.state()
    return [current?.round, current?.phase]
  }
  await expect.poll(done, { timeout: 60_000 }).toEqual([round, RoundState_Phase.DONE])
  again.abort(new Error('stopped'))
  await expect(second).rejects.toThrow('stopped')
  return campaign.state()
}

async function committed(round: number): Promise<Committed[]> {
  const path = join(campaign.hub.directory, 'campaigns', CAMPAIGN, 'rounds', String(round), 'commit.json')
  return (JSON.parse(await readFile(path, 'utf8')) as { updates: Committed[] }).updates
}

/** The paper's merge of what each node learns from the parameters that it began with. */
class ByHand {
  readonly #trainer: LocalTrainer
  readonly #channel: Channel
  /** The parameters that each round starts from, from round 1. */
  readonly parameters: Float32Array[]

  constructor(trainer: LocalTrainer, transfer: TransferConfigurationInput, initial: Float32Array) {
    this.#trainer = trainer
    this.#channel = new Channel(transfer, trainer)
    this.parameters = [new Float32Array(0), initial]
  }

  async merge(round: number, updates: readonly Committed[]): Promise<Float64Array> {
    const merged = Float64Array.from(this.parameters[round]!)
    for (const { participant, trainedFrom } of updates) {
      const parameters = this.parameters[trainedFrom]!
      const request = { ...localRequest(participant, trainedFrom), parameters, constants: {} }
      const { parameters: after } = await this.#trainer.trainEpochs(request)
      const change = Float64Array.from(after, (value, index) => value - parameters[index]!)
      const arrived = await this.#channel.carry(participant, trainedFrom, change)
      const weight = 1 / Math.sqrt(1 + round - trainedFrom) / updates.length
      arrived.forEach((value, index) => (merged[index]! += weight * value))
    }
    return merged
  }
}

describe('a campaign with FedBuff that is disturbed in every round', () => {
  it.each<{ name: string; transfer: TransferConfigurationInput }>([
    { name: 'in float32', transfer: {} },
    {
      name: 'in int8 with error feedback, with differences of parameters',
      transfer: { upload: { codec: { type: 'Int8' }, errorFeedback: true }, download: { type: 'Delta' } },
    },
  ])(
    'merges what was accepted, once and discounted, $name',
    async ({ transfer }) => {
      campaign = await LocalCampaign.begin({
        training: { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD' }, batchSize: 8 },
        strategy: { type: 'FedBuff', bufferSize: BUFFER, maxStaleness: 3 },
        transfer,
      })
      for (const node of UNDISTURBED) campaign.startPod(node).catch(() => undefined)
      const compiled = await campaign.compileByHand()
      const trainer = await LocalTrainer.load(compiled)
      const initial = new Float32Array(compiled.initialParameters.slice().buffer)
      const byHand = new ByHand(trainer, transfer, initial)
      const counted: Committed[] = []
      for (let round = 1; round <= ROUNDS; round++) {
        const { current } = await finishDisturbed(round)
        expect(current).toMatchObject({ received: BUFFER, wanted: BUFFER, evaluations: BUFFER })
        const updates = await committed(round)
        const wanted = await byHand.merge(round, updates)
        const merged = await campaign.parameters(current?.parametersDigest ?? '')
        const largest = merged.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0)
        expect(largest).toBeLessThan(1e-5)
        byHand.parameters.push(merged)
        counted.push(...updates)
        for (const { trainedFrom } of updates) expect(round - trainedFrom).toBeLessThanOrEqual(3)
      }
      expect(
        new Set(counted.map(({ participant, trainedFrom }) => `${participant} ${trainedFrom}`)).size,
      ).toBe(ROUNDS * BUFFER)
      await trainer.close()
    },
    240_000,
  )
})
