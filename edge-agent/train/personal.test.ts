// What a node keeps for itself and what it sends: nothing of the first is in the second, under any local objective and any codec.
import { readFileSync } from 'node:fs'

import { afterAll, describe, expect, it } from 'vitest'

import { encodeUpdate, openUpdate } from '#federation/tensors/codec.ts'
import { UploadCodec } from '#federation/tensors/configuration.ts'
import { updateLayout } from '#federation/tensors/layout.ts'
import { decodeAll } from '#federation/tensors/reader.ts'
import { bytesSource } from '#federation/tensors/source.ts'
import {
  LocalTrainer,
  type Objective,
  type Personalization,
  compilePersonalized,
  readModel,
} from '#federation/training/index.ts'
import { Random } from '#federation/training/random.ts'

import { type LocalResult, type Trainers, trainLocally } from './local-training.ts'
import { personalParameters, withLocalParameters } from './personal.ts'

const file = new URL('../../federation/training/testdata/regression.onnx', import.meta.url)
const model = readModel(readFileSync(file))
const LOCAL: Personalization = { type: 'LocalParameters', names: ['2.*'] }
/** First of the two tensors of layer 2; the parameters are 72. */
const FIRST_LOCAL = 50
const COUNT = 72
const OBJECTIVES: Objective[] = [
  { type: 'Plain' },
  { type: 'Proximal', mu: 0.5 },
  { type: 'Scaffold' },
  { type: 'FedDyn', alpha: 0.5 },
]

const open: LocalTrainer[] = []
afterAll(async () => {
  await Promise.all(open.map(async (trainer) => await trainer.close()))
})

async function trainersFor(personalization?: Personalization, objective: Objective = { type: 'Plain' }) {
  const configuration = {
    loss: { type: 'MeanSquaredError' as const },
    optimizer: { type: 'SGD' as const },
    objective,
    batchSize: 8,
  }
  const { shared, personal } = await compilePersonalized(model, configuration, personalization)
  const trainers: Trainers = {
    shared: await LocalTrainer.load(shared),
    personal: personal && (await LocalTrainer.load(personal)),
  }
  open.push(trainers.shared, ...(trainers.personal ? [trainers.personal] : []))
  return { trainers, initial: new Float32Array(shared.initialParameters.slice().buffer) }
}

const samples = (() => {
  const count = 24
  const [x, y] = [new Float32Array(count * 4), new Float32Array(count * 2)]
  new Random(7).fillUniform(x)
  new Random(8).fillUniform(y)
  return { x, y, count }
})()
const request = { samples, epochs: 2, learningRate: 0.05, seed: 3 }

const local = (values: Float32Array): Float32Array => values.subarray(FIRST_LOCAL, COUNT)
const plus = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value + (b[i] ?? 0))

async function twoRounds(trainers: Trainers, initial: Float32Array): Promise<LocalResult[]> {
  const first = await trainLocally(trainers, { ...request, parameters: initial, state: {} })
  const parameters = plus(initial, first.update)
  return [first, await trainLocally(trainers, { ...request, parameters, state: first.state })]
}

describe('parameters that stay on the node', () => {
  it.each(OBJECTIVES)('send nothing, and the others something, with objective $type', async (objective) => {
    const { trainers, initial } = await trainersFor(LOCAL, objective)
    for (const { update, state } of await twoRounds(trainers, initial)) {
      expect([...local(update)]).toEqual(new Array(COUNT - FIRST_LOCAL).fill(0))
      expect(update.subarray(0, FIRST_LOCAL).every((value) => value !== 0)).toBe(true)
      const vectors = [update.subarray(COUNT), state['clientControl'], state['dynamicGradient']]
      for (const vector of vectors.filter((values) => values?.length)) {
        expect(local(vector!).every((value) => value === 0)).toBe(true)
        expect(vector!.some((value) => value !== 0)).toBe(true)
      }
    }
  })

  it('go on from where they were in the round before', async () => {
    const { trainers, initial } = await trainersFor(LOCAL)
    const [first, second] = await twoRounds(trainers, initial)
    const { trainers: plain } = await trainersFor()
    const whole = await plain.shared.trainEpochs({ ...request, parameters: initial })
    expect(first?.state['localParameters']).toEqual(local(whole.parameters))
    const start = plus(initial, first!.update)
    start.set(local(whole.parameters), FIRST_LOCAL)
    const again = await plain.shared.trainEpochs({ ...request, parameters: start })
    expect(second?.state['localParameters']).toEqual(local(again.parameters))
    expect(second?.loss).toBe(again.loss)
  })

  it('are what the node evaluates with, beside the global ones', async () => {
    const { trainers, initial } = await trainersFor(LOCAL)
    const { manifest } = trainers.shared
    const [first] = await twoRounds(trainers, initial)
    const global = plus(initial, first!.update)
    const own = personalParameters(manifest, global, first!.state)
    expect(own.subarray(0, FIRST_LOCAL)).toEqual(global.subarray(0, FIRST_LOCAL))
    expect(local(own)).toEqual(first?.state['localParameters'])
    expect(local(own)).not.toEqual(local(global))
    expect(personalParameters(manifest, global, {})).toEqual(global)
  })

  it('are refused when the node kept another number of them', async () => {
    const { trainers, initial } = await trainersFor(LOCAL)
    const state = { localParameters: new Float32Array(3) }
    expect(() => withLocalParameters(trainers.shared.manifest, initial, state)).toThrow(
      '3 values of its own; the graphs have 22',
    )
  })

  const codecs = UploadCodec.options.map(({ shape }) => shape.type.value)
  it.each(codecs)('are exactly zero when the update has travelled as %s', async (type) => {
    const fraction = type === 'TopK' || type === 'SparseTernary' ? { fraction: 0.5 } : {}
    const codec = UploadCodec.parse({ type, ...fraction })
    // Fewer values than the fraction are not zero.
    const most: Personalization = { type: 'LocalParameters', names: ['0.*'] }
    const { trainers, initial } = await trainersFor(most, { type: 'Scaffold' })
    const { manifest } = trainers.shared
    const layout = updateLayout(manifest.parameters, [manifest.trainableCount])
    for (const { update } of await twoRounds(trainers, initial)) {
      const bytes = encodeUpdate(update, layout, codec, 12_345)
      const decoded = await decodeAll(await openUpdate(bytesSource(bytes), layout, codec))
      for (const part of [decoded, decoded.subarray(COUNT)]) {
        expect(part.subarray(0, FIRST_LOCAL).every((value) => value === 0)).toBe(true)
        expect(local(part).some((value) => value !== 0)).toBe(true)
      }
    }
  })
})

describe("Ditto's model", () => {
  const ditto: Personalization = { type: 'Ditto', lambda: 0.5 }

  it.each(OBJECTIVES)('leaves the update with objective $type as it is without', async (objective) => {
    const { trainers, initial } = await trainersFor(ditto, objective)
    const { trainers: without } = await trainersFor(undefined, objective)
    const [got, wanted] = [await twoRounds(trainers, initial), await twoRounds(without, initial)]
    expect(got.map(({ update }) => update)).toEqual(wanted.map(({ update }) => update))
    expect(got.map(({ loss }) => loss)).toEqual(wanted.map(({ loss }) => loss))
  })

  it('begins as the global one and is drawn to the one that each round begins with', async () => {
    const { trainers, initial } = await trainersFor(ditto)
    const [first, second] = await twoRounds(trainers, initial)
    const { trainers: byHand } = await trainersFor(undefined, { type: 'Proximal', mu: 0.5 })
    const once = await byHand.shared.trainEpochs({
      ...request,
      parameters: initial,
      constants: { reference: initial },
    })
    expect(first?.state['personalModel']).toEqual(once.parameters)
    const twice = await byHand.shared.trainEpochs({
      ...request,
      parameters: once.parameters,
      constants: { reference: plus(initial, first!.update) },
    })
    expect(second?.state['personalModel']).toEqual(twice.parameters)
  })

  it('is what the node evaluates', async () => {
    const { trainers, initial } = await trainersFor(ditto)
    const [first] = await twoRounds(trainers, initial)
    const own = personalParameters(trainers.shared.manifest, initial, first!.state)
    expect(own).toEqual(first?.state['personalModel'])
  })
})
