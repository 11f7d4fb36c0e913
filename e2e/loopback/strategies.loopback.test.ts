// A campaign of each family of strategies on one machine: the hub and a pod are stopped in the middle of every round, and
// what comes of it, server state and nodes' state included, must be what this test works out by the papers' formulas.
import { afterEach, describe, expect, it } from 'vitest'

import type { StrategyConfigurationInput } from '#federation/aggregation/configuration.ts'
import type { TransferConfigurationInput } from '#federation/tensors/configuration.ts'
import { type Constants, LocalTrainer, type Objective } from '#federation/training/index.ts'

import { Channel } from './testing/channel.ts'
import { LOCAL, LocalCampaign, NODES, localRequest } from './testing/local-campaign.ts'

const ROUNDS = 3

/** What one node did in a round. */
interface Learned {
  readonly node: string
  readonly samples: number
  readonly steps: number
  readonly initialLoss: number
  readonly change: Float64Array
}

/** The arithmetic of a strategy, element by element, with a memory from round to round. */
interface Definition {
  constants?(node: string, parameters: Float32Array): Constants
  merge(parameters: Float32Array, learned: readonly Learned[], round: number): Float64Array
}

type Vector = Float64Array

const zip = (a: ArrayLike<number>, b: ArrayLike<number>, f: (x: number, y: number) => number): Vector =>
  Float64Array.from(a, (value, index) => f(value, b[index] ?? 0))
const plus = (a: ArrayLike<number>, b: ArrayLike<number>): Vector => zip(a, b, (x, y) => x + y)
const times = (factor: number, a: Vector): Vector => a.map((value) => factor * value)
const sum = (vectors: readonly Vector[]): Vector => vectors.reduce(plus)
const mean = (learned: readonly Learned[]): Vector =>
  times(1 / learned.length, sum(learned.map(({ change }) => change)))
const weighted = (learned: readonly Learned[]): Vector => {
  const total = learned.reduce((all, { samples }) => all + samples, 0)
  return sum(learned.map(({ change, samples }) => times(samples / total, change)))
}

function fedAdam(): Definition {
  const { beta1, beta2, tau } = { beta1: 0.9, beta2: 0.99, tau: 0.001 }
  let [m, v]: [Vector, Vector] = [new Float64Array(0), new Float64Array(0)]
  return {
    merge: (parameters, learned, round) => {
      const change = weighted(learned)
      const rate = (0.05 * Math.sqrt(1 - beta2 ** (round + 1))) / (1 - beta1 ** (round + 1))
      if (m.length === 0) [m, v] = [times(0, change), times(0, change)]
      m = zip(m, change, (old, now) => beta1 * old + (1 - beta1) * now)
      v = zip(v, change, (old, now) => beta2 * old + (1 - beta2) * now * now)
      return plus(
        parameters,
        zip(m, v, (first, second) => (rate * first) / (Math.sqrt(second) + tau)),
      )
    },
  }
}

function scaffold(): Definition {
  const controls = new Map<string, Vector>()
  let server: Vector | undefined
  const of = (node: string, like: ArrayLike<number>): Vector =>
    controls.get(node) ?? new Float64Array(like.length)
  return {
    constants: (node, parameters) => ({
      serverControl: Float32Array.from(server ?? new Float64Array(parameters.length)),
      clientControl: Float32Array.from(of(node, parameters)),
    }),
    merge: (parameters, learned) => {
      const old = server ?? new Float64Array(parameters.length)
      let moved: Vector = new Float64Array(parameters.length)
      for (const { node, change, steps } of learned) {
        const before = of(node, parameters)
        const drift = times(-1 / (steps * LOCAL.learningRate), change)
        const after = plus(
          zip(before, old, (own, all) => own - all),
          drift,
        )
        moved = plus(
          moved,
          zip(after, before, (x, y) => x - y),
        )
        controls.set(node, after)
      }
      server = plus(old, times(1 / NODES.length, moved))
      return plus(parameters, mean(learned))
    },
  }
}

function fedDyn(alpha: number): Definition {
  const gradients = new Map<string, Vector>()
  let h: Vector | undefined
  return {
    constants: (node, parameters) => ({
      reference: parameters,
      dynamicGradient: Float32Array.from(gradients.get(node) ?? new Float64Array(parameters.length)),
    }),
    merge: (parameters, learned) => {
      for (const { node, change } of learned) {
        const before = gradients.get(node) ?? new Float64Array(parameters.length)
        gradients.set(node, plus(before, times(-alpha, change)))
      }
      h = plus(h ?? new Float64Array(parameters.length), times(-alpha, mean(learned)))
      return plus(parameters, plus(mean(learned), times(-1 / alpha, h)))
    },
  }
}

function qFedAvg(q: number): Definition {
  return {
    merge: (parameters, learned) => {
      const lipschitz = 1 / LOCAL.learningRate
      const steps = learned.map(({ change, initialLoss }) => times(initialLoss ** q * lipschitz, change))
      const divisor = learned.reduce((all, { change, initialLoss }) => {
        const norm = change.reduce((squares, value) => squares + (lipschitz * value) ** 2, 0)
        return all + q * initialLoss ** (q - 1) * norm + lipschitz * initialLoss ** q
      }, 0)
      return plus(parameters, times(1 / divisor, sum(steps)))
    },
  }
}

function fedNova(): Definition {
  return {
    merge: (parameters, learned) => {
      const total = learned.reduce((all, { samples }) => all + samples, 0)
      const effective = learned.reduce((all, { samples, steps }) => all + (samples / total) * steps, 0)
      const directions = learned.map(({ change, samples, steps }) => times(samples / total / steps, change))
      return plus(parameters, times(effective, sum(directions)))
    },
  }
}

const fedProx: Definition = {
  constants: (_node, parameters) => ({ reference: parameters }),
  merge: (parameters, learned) => plus(parameters, weighted(learned)),
}

const fedAvg: Definition = { merge: (parameters, learned) => plus(parameters, weighted(learned)) }

const median: Definition = {
  merge: (parameters, learned) =>
    parameters.length === 0
      ? new Float64Array(0)
      : plus(
          parameters,
          Float64Array.from(parameters, (_, index) => {
            const values = learned.map(({ change }) => change[index]!).sort((a, b) => a - b)
            return values[1]!
          }),
        ),
}

const krum: Definition = {
  merge: (parameters, learned) => {
    const distance = (a: Learned, b: Learned): number =>
      zip(a.change, b.change, (x, y) => (x - y) ** 2).reduce((all, value) => all + value, 0)
    // n - f - 2 = 1 nearest neighbour.
    const score = (one: Learned): number =>
      Math.min(...learned.filter((other) => other !== one).map((other) => distance(one, other)))
    const chosen = learned.toSorted((a, b) => score(a) - score(b))[0]!
    return plus(parameters, chosen.change)
  },
}

interface Case {
  readonly strategy: StrategyConfigurationInput
  readonly objective?: Objective
  readonly transfer?: TransferConfigurationInput
  readonly define: () => Definition
}

const cases: Case[] = [
  { strategy: { type: 'FedAdam', serverLearningRate: 0.05 }, define: fedAdam },
  { strategy: { type: 'Scaffold' }, objective: { type: 'Scaffold' }, define: scaffold },
  {
    strategy: { type: 'FedDyn', alpha: 0.5 },
    objective: { type: 'FedDyn', alpha: 0.5 },
    define: () => fedDyn(0.5),
  },
  {
    strategy: { type: 'FedProx', mu: 0.5 },
    objective: { type: 'Proximal', mu: 0.5 },
    define: () => fedProx,
  },
  { strategy: { type: 'QFedAvg', q: 0.5 }, define: () => qFedAvg(0.5) },
  { strategy: { type: 'FedNova' }, define: fedNova },
  { strategy: { type: 'Median' }, define: () => median },
  { strategy: { type: 'Krum', byzantine: 0 }, define: () => krum },
]

const encoded: Case[] = [
  { upload: { codec: { type: 'Int4' } }, define: () => fedAvg },
  { upload: { codec: { type: 'Int8' }, errorFeedback: true }, define: () => fedAvg },
  { upload: { codec: { type: 'TopK', fraction: 0.25 }, errorFeedback: true }, define: () => fedAvg },
].map(({ upload, define }) => ({
  strategy: { type: 'FedAvg' },
  transfer: { upload: upload as TransferConfigurationInput['upload'], download: { type: 'Delta' } },
  define,
}))

const nameOf = ({ strategy, transfer }: Case): string =>
  [strategy.type, transfer?.upload?.codec?.type].filter((part) => part !== undefined).join(' of ')

let campaign: LocalCampaign | undefined
afterEach(async () => {
  await campaign?.end()
})

async function learnByHand(
  { trainer, definition, channel }: { trainer: LocalTrainer; definition: Definition; channel: Channel },
  parameters: Float32Array,
  round: number,
): Promise<Learned[]> {
  const learned: Learned[] = []
  for (const node of NODES) {
    const constants = definition.constants?.(node, parameters) ?? {}
    const request = { ...localRequest(node, round), parameters, constants, measureInitialLoss: true }
    const { parameters: after, samples, steps, initialLoss = NaN } = await trainer.trainEpochs(request)
    const change = await channel.carry(
      node,
      round,
      zip(after, parameters, (x, y) => x - y),
    )
    learned.push({ node, samples, steps, initialLoss, change })
  }
  return learned
}

describe('a campaign that is disturbed in every round', () => {
  it.each([...cases, ...encoded].map((one) => ({ ...one, name: nameOf(one) })))(
    'merges as $name is defined',
    async ({ strategy, objective = { type: 'Plain' }, transfer = {}, define }) => {
      campaign = await LocalCampaign.begin({
        training: {
          loss: { type: 'MeanSquaredError' },
          optimizer: { type: 'SGD' },
          objective,
          batchSize: 8,
        },
        strategy,
        transfer,
      })
      for (const node of NODES.slice(1)) campaign.startPod(node).catch(() => undefined)
      const compiled = await campaign.compileByHand()
      const trainer = await LocalTrainer.load(compiled)
      const byHand = { trainer, definition: define(), channel: new Channel(transfer, trainer) }
      let parameters = new Float32Array(compiled.initialParameters.slice().buffer)
      for (let round = 1; round <= ROUNDS; round++) {
        const learned = await learnByHand(byHand, parameters, round)
        const wanted = byHand.definition.merge(parameters, learned, round)
        const { current } = await campaign.finishDisturbedRound(round)
        expect(current?.received).toBe(NODES.length)
        const merged = await campaign.parameters(current?.parametersDigest ?? '')
        const largest = zip(merged, wanted, (x, y) => Math.abs(x - y)).reduce((a, b) => Math.max(a, b), 0)
        expect(largest).toBeLessThan(1e-5)
        parameters = new Float32Array(merged)
      }
      await trainer.close()
    },
    180_000,
  )
})
