// A campaign of every strategy, from its configuration to the merged model, over real connections. The hub is killed when all
// updates of a round but one are accepted, and again when the last one was acknowledged. What is merged must be what the
// papers' formulas say, and have the bits of a hub that was left in peace.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  readStrategyConfiguration,
  StrategyConfiguration,
  type StrategyConfigurationInput,
} from '#federation/aggregation/configuration.ts'
import { Random } from '#federation/training/random.ts'
import { HubHttp } from '#federation/wire/http.ts'
import { type CampaignState, RoundState_Phase } from '#federation/wire/generated/tributary.ts'
import { blobPath } from '#federation/wire/names.ts'
import { uploadUpdate } from '#federation/wire/upload.ts'
import { call, clientsOf, http, sha256 } from './testing/clients.ts'
import { operatorToken, podToken, tinyModel } from './testing/fakes.ts'
import { formulaOf, type Sent } from './testing/formulas.ts'
import { MortalHub } from './testing/mortal-hub.ts'
import { campaignPlan } from '#federation/tier/testing/plans.ts'
import { modelPlan, until } from './testing/story.ts'

const NODES = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
const PARAMETERS = 300
const ROUNDS = 2
const LEARNING_RATE = 0.1
const TIMEOUT_MS = 5 * 60_000

const STRATEGIES: readonly StrategyConfigurationInput[] = [
  { type: 'FedAvg' },
  { type: 'FedAvgM', serverLearningRate: 0.5, serverMomentum: 0.75 },
  { type: 'FedAdagrad' },
  { type: 'FedAdam', serverLearningRate: 0.05 },
  { type: 'FedYogi', beta2: 0.9 },
  { type: 'FedProx', mu: 0.5 },
  { type: 'Scaffold', serverLearningRate: 0.5 },
  { type: 'FedNova' },
  { type: 'QFedAvg', q: 0.5 },
  { type: 'FedDyn', alpha: 0.5 },
  { type: 'Median' },
  { type: 'TrimmedMean', trimmed: 2 },
  { type: 'Krum', byzantine: 1 },
  { type: 'MultiKrum', byzantine: 1, selected: 3 },
  { type: 'Bulyan', byzantine: 1 },
  { type: 'GeometricMedian' },
  { type: 'NormClipping', byzantine: 1 },
  { type: 'NormClipping', byzantine: 1, maximumNorm: 0.5 },
]

/** What the strategies that change the local objective need there. */
const OBJECTIVES: Readonly<Record<string, object>> = {
  FedProx: { type: 'Proximal', mu: 0.5 },
  Scaffold: { type: 'Scaffold' },
  FedDyn: { type: 'FedDyn', alpha: 0.5 },
}

const campaignOf = (index: number): string =>
  `f0000000-0000-4000-8000-${(0x100 + index).toString(16).padStart(12, '0')}`

/** What a node sends in a round: the last node lies, all others agree more or less. */
function sentBy(node: string, round: number): Sent {
  const index = NODES.indexOf(node)
  const [common, own] = [new Float32Array(2 * PARAMETERS), new Float32Array(2 * PARAMETERS)]
  new Random(round).fillUniform(common)
  new Random(100 * round + index).fillUniform(own)
  const factor = index === NODES.length - 1 ? -20 : 1
  const values = Array.from(common, (value, at) => {
    return Math.fround(factor * ((value - 0.5) / 8 + ((own[at] ?? 0) - 0.5) / 16))
  })
  return {
    change: values.slice(0, PARAMETERS),
    control: values.slice(PARAMETERS),
    samples: 10 + index,
    steps: 2 + (index % 3),
    initialLoss: 0.5 + index / 4,
  }
}

/** By strategy, then by round: the digest of the merged parameters, and these. */
type Merged = { digest: string; parameters: number[] }[][]

class Campaigns {
  readonly #hub: MortalHub
  readonly #folder: string
  readonly #disturbed: boolean
  /** Digests of what the campaigns' present round starts from. */
  readonly #bases = STRATEGIES.map(() => sha256(Buffer.alloc(4 * PARAMETERS)))

  constructor(hub: MortalHub, folder: string, disturbed: boolean) {
    this.#hub = hub
    this.#folder = folder
    this.#disturbed = disturbed
  }

  async run(): Promise<Merged> {
    const merged: Merged = STRATEGIES.map(() => [])
    for (let round = 1; round <= ROUNDS; round++) {
      await this.#plan(round)
      await this.#finish(round)
      for (const [index, state] of (await this.#states()).entries()) {
        const digest = state.current?.parametersDigest ?? ''
        const { body } = await http(this.#hub.endpoint, { path: blobPath(digest), token: operatorToken })
        const parameters = [...new Float32Array(Uint8Array.from(body).buffer)]
        merged[index]?.push({ digest, parameters })
        this.#bases[index] = digest
      }
    }
    return merged
  }

  /** In peace the nodes send in their order, otherwise from the last to the first. */
  async #finish(round: number): Promise<void> {
    const order = this.#disturbed ? NODES.toReversed() : NODES
    const last = order.at(-1) ?? ''
    for (const node of order.slice(0, -1)) await this.#send(node, round)
    await this.#kill()
    for (const state of await this.#states()) {
      expect(state.current).toMatchObject({
        round,
        received: NODES.length - 1,
        phase: RoundState_Phase.COLLECTING,
      })
    }
    await this.#send(last, round)
    await this.#kill()
    await until(async () => {
      const states = await this.#states()
      expect(states.map(({ failureMessage }) => failureMessage)).toEqual(STRATEGIES.map(() => ''))
      return states.every(({ current }) => current?.phase === RoundState_Phase.DONE)
    })
  }

  async #kill(): Promise<void> {
    if (!this.#disturbed) return
    await this.#hub.kill()
    await this.#hub.start()
  }

  async #plan(round: number): Promise<void> {
    const size = NODES.length
    const attempt = { round, attempt: 1, participants: NODES, minimumUpdates: size, deadlineSeconds: 600 }
    const participants = NODES.map((node) => ({ node, pod: `pod-${node}` }))
    await this.#withControl(async ({ control }) => {
      await call(control.applyModel.bind(control) as never, modelPlan(), operatorToken)
      for (const [index, strategy] of STRATEGIES.entries()) {
        const plan = campaignPlan({ uid: campaignOf(index), name: `campaign-${index}`, participants })
        const training = plan.training && {
          ...plan.training,
          strategy: JSON.stringify(strategy),
          training: JSON.stringify({
            ...(JSON.parse(plan.training.training) as object),
            objective: OBJECTIVES[strategy.type] ?? { type: 'Plain' },
          }),
        }
        const settings = { round: { ...attempt, rounds: ROUNDS, population: size }, training }
        const applied = { ...plan, ...settings, evaluationDeadlineSeconds: 1 }
        await call(control.applyCampaign.bind(control) as never, applied, operatorToken)
      }
    })
    await until(async () => (await this.#states()).every(({ current }) => current?.round === round))
  }

  /** Sends the node's update to every campaign. */
  async #send(node: string, round: number): Promise<void> {
    const { port, authority } = this.#hub.endpoint
    const readToken = async (): Promise<string> => Promise.resolve(podToken(node))
    const connection = new HubHttp({ host: '127.0.0.1', port, authority, readToken })
    const { change, control, initialLoss, samples, steps } = sentBy(node, round)
    for (const [index, { type }] of STRATEGIES.entries()) {
      const values = Float32Array.from(type === 'Scaffold' ? [...change, ...control] : change)
      const bytes = Buffer.from(values.buffer)
      const path = join(this.#folder, `${index}-${round}-${node}`)
      await writeFile(path, bytes)
      const outcome = await uploadUpdate(
        {
          ...{ campaign: campaignOf(index), round, participant: node, path, size: bytes.byteLength },
          ...{ digest: sha256(bytes), samples, steps, loss: 0.5, parameters: this.#bases[index] ?? '' },
          ...(type === 'QFedAvg' && { initialLoss }),
        },
        {
          http: connection,
          signal: AbortSignal.timeout(60_000),
          random: () => 0.5,
          backoff: { initialMs: 20, maximumMs: 100 },
          chunkBytes: 64 * 1024,
        },
      )
      expect(outcome).toEqual({ kind: 'accepted' })
    }
    connection.destroy()
  }

  async #states(): Promise<CampaignState[]> {
    return this.#withControl(async ({ control }) => {
      const get = control.getCampaign.bind(control) as never
      return Promise.all(
        STRATEGIES.map(async (_, index) => call(get, { uid: campaignOf(index) }, operatorToken)),
      )
    })
  }

  async #withControl<T>(work: (clients: ReturnType<typeof clientsOf>) => Promise<T>): Promise<T> {
    const clients = clientsOf(this.#hub.endpoint)
    try {
      return await work(clients)
    } finally {
      clients.close()
    }
  }
}

async function runAll(disturbed: boolean): Promise<Merged> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-updates-'))
  const hub = await MortalHub.create(tinyModel(new Float32Array(PARAMETERS)))
  try {
    return await new Campaigns(hub, folder, disturbed).run()
  } finally {
    await hub.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

let calm: Merged
let disturbed: Merged
beforeAll(async () => {
  calm = await runAll(false)
  disturbed = await runAll(true)
}, TIMEOUT_MS)

const named = STRATEGIES.map((strategy, index) => {
  const { type, ...members } = strategy
  return { name: [type, ...Object.entries(members).flat()].join(' '), index, strategy }
})

describe('a hub that is killed between acceptance and commit', () => {
  it.each(named)('merges to the same bits by $name', ({ index }) => {
    const digests = (of: Merged): string[] => of[index]?.map(({ digest }) => digest) ?? []
    expect(digests(calm)).toHaveLength(ROUNDS)
    expect(new Set(digests(calm)).size).toBe(ROUNDS)
    expect(digests(disturbed)).toEqual(digests(calm))
  })

  it.each(named)('merges what the formula of $name says', ({ index, strategy }) => {
    const formula = formulaOf(readStrategyConfiguration(strategy))
    let parameters: readonly number[] = Array<number>(PARAMETERS).fill(0)
    for (const [at, { parameters: merged }] of (disturbed[index] ?? []).entries()) {
      const round = at + 1
      const sent = NODES.map((node) => sentBy(node, round))
      const wanted = formula(parameters, sent, { round, learningRate: LEARNING_RATE })
      const scale = Math.max(...wanted.map(Math.abs))
      const largest = Math.max(...wanted.map((value, i) => Math.abs(value - (merged[i] ?? NaN))))
      expect(largest / scale).toBeLessThan(1e-6)
      parameters = merged
    }
  })

  it('has a campaign of every strategy that merges by rounds', () => {
    const all = StrategyConfiguration.options.map(({ shape }) => shape.type.value)
    const tried = new Set(STRATEGIES.map(({ type }) => type))
    expect(all.filter((type) => !tried.has(type))).toEqual(['FedBuff'])
  })
})
