// A tiered campaign against a flat one over real connections, for every strategy that allows tiers: two rounds, so that what the
// server keeps goes through tiers, too. Whole numbers give the same bits, others the same to 1e-6.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  StrategyConfiguration,
  type StrategyConfigurationInput,
} from '#federation/aggregation/configuration.ts'
import { strategyOf } from '#federation/aggregation/strategies.ts'
import { Random } from '#federation/training/random.ts'
import {
  type CampaignReference,
  type CampaignState,
  type CampaignPlan,
} from '#federation/wire/generated/tributary.ts'
import { campaignPlan, tierNode } from '#federation/tier/testing/plans.ts'
import { call, patch, TestParticipant } from './testing/clients.ts'
import { bytesOf, TestController, type SentUpdate } from './testing/controller.ts'
import { operatorToken, podToken } from './testing/fakes.ts'
import { Story, until } from './testing/story.ts'

const ZONES: Readonly<Record<string, readonly string[]>> = { east: ['a', 'b', 'c'], west: ['d', 'e'] }
/** Belongs to no zone. */
const ALONE = 'f'
const NODES = [...Object.values(ZONES).flat(), ALONE]
const ROUNDS = 2

const STRATEGIES: readonly StrategyConfigurationInput[] = [
  { type: 'FedAvg' },
  { type: 'FedProx', mu: 0.5 },
  { type: 'FedAvgM', serverLearningRate: 0.5, serverMomentum: 0.75 },
  { type: 'FedAdagrad' },
  { type: 'FedAdam', serverLearningRate: 0.05 },
  { type: 'FedYogi', beta2: 0.9 },
]

type Kind = 'whole numbers' | 'fractions'

function sentBy(node: string, round: number, kind: Kind): SentUpdate {
  const index = NODES.indexOf(node)
  const drawn = new Float32Array(4)
  new Random(100 * round + index).fillUniform(drawn)
  // One sign a place: a mean near zero of large values has no relative precision of its own.
  const values = Array.from(drawn, (value, i) => {
    const sized = (i % 2 === 0 ? 1 : -1) * (0.5 + value)
    return kind === 'fractions' ? Math.fround(sized) : Math.round(1000 * sized)
  })
  return { node, samples: 1 + ((7 * index) % 5), values }
}

let campaigns = 0

/** Runs a campaign; every update of a zone goes through its controller when there are tiers. */
class Run {
  readonly #story: Story
  readonly #uid = `f0000000-0000-4000-8000-${String((campaigns += 1)).padStart(12, '0')}`
  readonly #strategy: StrategyConfigurationInput
  readonly #tiered: boolean

  constructor(story: Story, strategy: StrategyConfigurationInput, tiered: boolean) {
    this.#story = story
    this.#strategy = strategy
    this.#tiered = tiered
  }

  async merged(kind: Kind): Promise<Float32Array> {
    await this.#story.applyCampaign(this.#plan(1))
    const controllers = this.#tiered
      ? Object.keys(ZONES).map((tier) => new TestController(this.#story, tier, { campaign: this.#uid }))
      : []
    let digest = ''
    for (let round = 1; round <= ROUNDS; round++) {
      if (round > 1) await this.#story.applyCampaign(this.#plan(round))
      for (const controller of controllers) {
        const updates = (ZONES[controller.tier] ?? []).map((node) => sentBy(node, round, kind))
        expect((await controller.deliver(updates, round)).status).toBe(201)
      }
      for (const node of this.#tiered ? [ALONE] : NODES) await this.#deliver(node, round, kind)
      digest = await this.#closed(round)
    }
    for (const controller of controllers) controller.cancel()
    const { body } = await this.#story.blob(digest)
    return new Float32Array(Uint8Array.from(body).buffer)
  }

  async #deliver(node: string, round: number, kind: Kind): Promise<void> {
    const { endpoint, clients } = this.#story
    const pod = new TestParticipant(clients.participation, podToken(node), this.#uid)
    const { parameters } = await pod.told('train', round)
    const { samples, values } = sentBy(node, round, kind)
    const facts = { campaign: this.#uid, round, participant: node, steps: 3, loss: 0.5, samples }
    const update = { ...facts, bytes: bytesOf({ values }), parameters: parameters?.digest ?? '' }
    expect((await patch(endpoint, update, { token: podToken(node) })).status).toBe(201)
    pod.cancel()
  }

  async #closed(round: number): Promise<string> {
    const { control } = this.#story.clients
    const get = control.getCampaign.bind(control)
    let digest = ''
    await until(async () => {
      const { history } = await call<CampaignReference, CampaignState>(get, { uid: this.#uid }, operatorToken)
      digest = history.find((one) => one.round === round)?.parametersDigest ?? ''
      return digest !== ''
    })
    return digest
  }

  #plan(number: number): Partial<CampaignPlan> {
    const { training, round } = campaignPlan()
    const objective = this.#strategy.type === 'FedProx' ? { objective: { type: 'Proximal', mu: 0.5 } } : {}
    const counts = { participants: NODES, minimumUpdates: NODES.length, population: NODES.length }
    return {
      uid: this.#uid,
      name: `run-${this.#uid.slice(-3)}`,
      participants: NODES.map((node) => ({ node, pod: `pod-${node}` })),
      training: {
        ...training!,
        training: JSON.stringify({ ...(JSON.parse(training!.training) as object), ...objective }),
        strategy: JSON.stringify(this.#strategy),
      },
      round: { ...round!, ...counts, round: number },
      tiers: this.#tiered ? Object.entries(ZONES).map(([tier, nodes]) => tierNode(tier, nodes)) : [],
      // Nobody evaluates here.
      evaluationDeadlineSeconds: 1,
    }
  }
}

let story: Story
beforeAll(async () => {
  story = await Story.begin()
  await story.modelReady()
})
afterAll(async () => story.end())

describe.each(STRATEGIES)('a tiered campaign by $type', (strategy) => {
  const both = async (kind: Kind): Promise<{ flat: Float32Array; tiered: Float32Array }> => {
    const runs = [false, true].map(async (isTiered) => new Run(story, strategy, isTiered).merged(kind))
    const [flat, tiered] = await Promise.all(runs)
    return { flat: flat!, tiered: tiered! }
  }

  it('gives the bits of a flat one for whole numbers', async () => {
    const { flat, tiered } = await both('whole numbers')
    expect(tiered).toEqual(flat)
    expect(flat.every((value) => value !== 0)).toBe(true)
  })

  it('gives what a flat one gives to 1e-6', async () => {
    const { flat, tiered } = await both('fractions')
    for (const [i, value] of flat.entries()) {
      expect(Math.abs((tiered[i] ?? NaN) - value)).toBeLessThanOrEqual(1e-6 * Math.abs(value))
    }
  })
})

it('are shown for all strategies that allow tiers', () => {
  const all = StrategyConfiguration.options.map(({ shape }) => shape.type.value)
  const shown = new Set<string>(STRATEGIES.map(({ type }) => type))
  const missing = all.filter((type) => {
    const parsed = StrategyConfiguration.safeParse({ type })
    return parsed.success && strategyOf(parsed.data).allowsTiers && !shown.has(type)
  })
  expect(missing).toEqual([])
})
