// Nodes whose labels are shifted against one another, each with something of its own in the model: what it learns for itself
// pays on its own held-out rows, never leaves it, and is the same to the bit when hub and pod are stopped in every round.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, describe, expect, it } from 'vitest'

import type { StrategyConfigurationInput } from '#federation/aggregation/configuration.ts'
import type { TransferConfigurationInput } from '#federation/tensors/configuration.ts'
import type { Objective, Personalization } from '#federation/training/index.ts'
import type { RoundState } from '#federation/wire/generated/tributary.ts'

import { LocalCampaign, NODES } from './testing/local-campaign.ts'

const ROUNDS = 3
/** Where the output layer's bias lies, which holds the shift: the last 2 of 72 parameters. */
const HEAD = { start: 70, end: 72 }
const LOCAL: Personalization = { type: 'LocalParameters', names: ['2.bias'] }
const DITTO: Personalization = { type: 'Ditto', lambda: 0.1 }

interface Variant {
  readonly personalization?: Personalization
  readonly strategy?: StrategyConfigurationInput
  readonly objective?: Objective
  readonly transfer?: TransferConfigurationInput
}

/** What a campaign has come to: the state of each round, and what each node keeps, by node and name. */
interface Outcome {
  readonly rounds: RoundState[]
  readonly initial: Float32Array
  readonly merged: Float32Array
  readonly kept: Record<string, Record<string, Buffer>>
  /** The last update of each node, as it was sent. */
  readonly sent: Record<string, Buffer>
}

let campaign: LocalCampaign | undefined
afterEach(async () => {
  await campaign?.end()
  campaign = undefined
})

async function run(variant: Variant, disturbed: boolean): Promise<Outcome> {
  const { strategy = { type: 'FedAvg' }, objective = { type: 'Plain' }, ...others } = variant
  await campaign?.end()
  campaign = await LocalCampaign.begin({
    training: { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD' }, objective, batchSize: 8 },
    strategy,
    ...others,
  })
  for (const node of disturbed ? NODES.slice(1) : NODES) campaign.startPod(node).catch(() => undefined)
  const rounds: RoundState[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    const { current } = disturbed
      ? await campaign.finishDisturbedRound(round)
      : await campaign.finishRound(round)
    if (current) rounds.push(current)
  }
  const { initialParameters } = await campaign.compileByHand()
  const [kept, sent]: [Outcome['kept'], Outcome['sent']] = [{}, {}]
  for (const node of NODES) {
    kept[node] = await keptBy(campaign.workFolder(node))
    sent[node] = await readFile(join(campaign.workFolder(node), 'outbox', `${ROUNDS}.update`))
  }
  return {
    ...{ rounds, kept, sent },
    initial: new Float32Array(initialParameters.slice().buffer),
    merged: await campaign.parameters(rounds.at(-1)?.parametersDigest ?? ''),
  }
}

async function keptBy(workFolder: string): Promise<Record<string, Buffer>> {
  const folder = join(workFolder, 'state')
  const record = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8').catch(() => '{}')) as {
    vectors?: { name: string; file: string }[]
  }
  const vectors = await Promise.all(
    (record.vectors ?? []).map(async ({ name, file }) => [name, await readFile(join(folder, file))] as const),
  )
  return Object.fromEntries(vectors)
}

const facts = ({ rounds, kept, sent }: Outcome) => ({
  rounds: rounds.map(({ parametersDigest, metrics, evaluations }) => ({
    ...{ parametersDigest, metrics, evaluations },
  })),
  ...{ kept, sent },
})

describe('a personalised campaign', () => {
  it('measures less loss on the nodes than the global model has there', async () => {
    const losses: Record<string, number> = {}
    for (const [name, personalization] of Object.entries({ none: undefined, local: LOCAL, ditto: DITTO })) {
      const { rounds } = await run(personalization ? { personalization } : {}, false)
      expect(rounds.map(({ evaluations }) => evaluations)).toEqual(new Array(ROUNDS).fill(NODES.length))
      losses[name] = rounds.at(-1)?.metrics['loss'] ?? NaN
    }
    expect(losses['local']).toBeLessThan(losses['none']! / 2)
    expect(losses['ditto']).toBeLessThan(losses['none']! / 2)
  }, 180_000)

  it.each<{ name: string } & Variant>([
    { name: 'local parameters', personalization: LOCAL },
    {
      name: 'local parameters with SCAFFOLD',
      personalization: LOCAL,
      strategy: { type: 'Scaffold' },
      objective: { type: 'Scaffold' },
    },
    {
      name: 'local parameters with Int4 and error feedback',
      personalization: LOCAL,
      transfer: { upload: { codec: { type: 'Int4' }, errorFeedback: true } },
    },
    { name: "Ditto's model", personalization: DITTO },
    {
      name: "Ditto's model with FedDyn",
      personalization: DITTO,
      strategy: { type: 'FedDyn', alpha: 0.5 },
      objective: { type: 'FedDyn', alpha: 0.5 },
    },
  ])(
    'keeps $name the same to the bit when hub and pod are stopped in every round',
    async (variant) => {
      const [calm, disturbed] = [await run(variant, false), await run(variant, true)]
      expect(facts(disturbed)).toEqual(facts(calm))
      const name = variant.personalization === DITTO ? 'personalModel' : 'localParameters'
      const own = NODES.map((node) => calm.kept[node]?.[name]?.toString('hex'))
      expect(own).not.toContain(undefined)
      expect(new Set(own).size).toBe(NODES.length)
    },
    180_000,
  )

  it.each<{ name: string } & Variant>([
    { name: 'FedAvg' },
    { name: 'FedAdam', strategy: { type: 'FedAdam' } },
    { name: 'Median', strategy: { type: 'Median' } },
    { name: 'GeometricMedian', strategy: { type: 'GeometricMedian' } },
  ])(
    'sends nothing of local parameters, and $name leaves them as they were',
    async (variant) => {
      const { sent, initial, merged } = await run({ personalization: LOCAL, ...variant }, false)
      for (const update of Object.values(sent)) {
        const values = new Float32Array(Uint8Array.from(update).buffer)
        expect([...values.subarray(HEAD.start, HEAD.end)]).toEqual([0, 0])
        expect(values.subarray(0, HEAD.start).some((value) => value !== 0)).toBe(true)
      }
      expect(merged.subarray(HEAD.start, HEAD.end)).toEqual(initial.subarray(HEAD.start, HEAD.end))
      expect(merged.subarray(0, HEAD.start)).not.toEqual(initial.subarray(0, HEAD.start))
    },
    60_000,
  )

  it('fails at its start when a pattern matches nothing', async () => {
    campaign = await LocalCampaign.begin({
      training: { loss: { type: 'MeanSquaredError' }, optimizer: { type: 'SGD' }, batchSize: 8 },
      strategy: { type: 'FedAvg' },
      personalization: { type: 'LocalParameters', names: ['head.*'] },
    })
    await expect
      .poll(async () => (await campaign?.state())?.failureReason, { timeout: 30_000 })
      .toBe('TrainingNotPossible')
    expect((await campaign.state()).failureMessage).toContain(
      '"head.*" matches no parameter; training changes "0.weight", "0.bias"',
    )
  })
})
