import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { Samples, TrainingManifest } from '#federation/training/index.ts'
import { HoldoutSplit } from '#federation/wire/generated/tributary.ts'

import type { Table } from './csv.ts'
import { readDatasetConfiguration, splitSamples, toSamples } from './dataset.ts'
import type { TrainingFailure } from './failures.ts'

type Wanted = Pick<TrainingManifest, 'input' | 'label' | 'loss'>

function manifest(changes: Partial<Wanted> = {}): TrainingManifest {
  const wanted: Wanted = {
    loss: { type: 'SoftmaxCrossEntropy' },
    input: { name: 'x', shape: [8, 1, 2], type: 'float32' },
    label: { name: 'y', shape: [8], type: 'int32', classes: 3 },
    ...changes,
  }
  return wanted as TrainingManifest
}

const VALUES: Wanted['label'] = { name: 'y', shape: [8, 1], type: 'float32' }

function table(changes: Partial<Table> = {}): Table {
  return {
    path: '/data/rows.csv',
    featureColumns: ['a', 'b'],
    labelColumns: ['y'],
    rows: 2,
    features: Float32Array.of(1, 2, 3, 4),
    labels: Float32Array.of(0, 2),
    ...changes,
  }
}

function refusal(run: () => unknown): TrainingFailure {
  try {
    run()
  } catch (error) {
    return error as TrainingFailure
  }
  throw new Error('nothing was refused')
}

describe('readDatasetConfiguration', () => {
  it('fills in the limits', () => {
    const read = readDatasetConfiguration('{"path":"/data/a/rows.csv.gz","labelColumns":["y"]}', '/data')
    expect(read).toEqual({
      path: '/data/a/rows.csv.gz',
      labelColumns: ['y'],
      maximumBytes: 2 ** 32,
      maximumRows: 5e7,
    })
  })

  it.each([
    { name: 'text that is not JSON', json: 'path=/data/x.csv', want: 'expected a JSON object' },
    { name: 'no path', json: '{"labelColumns":["y"]}', want: 'path' },
    { name: 'no labels', json: '{"path":"/data/x.csv","labelColumns":[]}', want: 'labelColumns' },
    {
      name: 'another kind of file',
      json: '{"path":"/data/x.json","labelColumns":["y"]}',
      want: '.csv or .csv.gz',
    },
    {
      name: 'an unknown field',
      json: '{"path":"/data/x.csv","labelColumns":["y"],"lables":1}',
      want: 'lables',
    },
    { name: 'a path elsewhere', json: '{"path":"/etc/x.csv","labelColumns":["y"]}', want: 'is not in /data' },
    {
      name: 'a path that leaves',
      json: '{"path":"/data/../etc/x.csv","labelColumns":["y"]}',
      want: 'is not in /data',
    },
    {
      name: 'a path that only begins alike',
      json: '{"path":"/database/x.csv","labelColumns":["y"]}',
      want: 'is not in /data',
    },
  ])('refuses $name', ({ json, want }) => {
    const error = refusal(() => readDatasetConfiguration(json, '/data'))
    expect(error.reason).toBe('DatasetUnreadable')
    expect(error.message).toContain(want)
  })
})

describe('toSamples', () => {
  it('makes integers of classes', () => {
    expect(toSamples(table(), manifest())).toEqual({
      x: Float32Array.of(1, 2, 3, 4),
      y: Int32Array.of(0, 2),
      count: 2,
    })
  })

  it('leaves values as they are', () => {
    const labels = Float32Array.of(-0.5, 7)
    const samples = toSamples(
      table({ labels }),
      manifest({ loss: { type: 'MeanSquaredError' }, label: VALUES }),
    )
    expect(samples.y).toEqual(labels)
  })

  it.each([
    {
      name: 'features for another shape',
      given: table(),
      model: manifest({ input: { name: 'x', shape: [8, 3], type: 'float32' } }),
      want: "it has 2 feature columns; the model's feature shape [batch, 3] needs 3",
    },
    {
      name: 'labels for another shape',
      given: table(),
      model: manifest({ label: { ...VALUES, shape: [8, 2] } }),
      want: "it has 1 label columns; the model's label shape [batch, 2] needs 2",
    },
    {
      name: 'no rows',
      given: table({ rows: 0, features: new Float32Array(), labels: new Float32Array() }),
      model: manifest(),
      want: 'it has no rows',
    },
    {
      name: 'a class out of range',
      given: table({ labels: Float32Array.of(0, 3) }),
      model: manifest(),
      want: 'row 2, label column "y" is not an integer class from 0 to 2',
    },
    {
      name: 'a class that is not an integer',
      given: table({ labels: Float32Array.of(0.5, 1) }),
      model: manifest(),
      want: 'row 1, label column "y" is not an integer class',
    },
    {
      name: 'a probability out of range',
      given: table({ labels: Float32Array.of(0.5, 1.5) }),
      model: manifest({ loss: { type: 'BinaryCrossEntropy' }, label: VALUES }),
      want: 'row 2, label column "y" is not a number from 0 to 1',
    },
  ])('refuses $name', ({ given, model, want }) => {
    const error = refusal(() => toSamples(given, model))
    expect(error.reason).toBe('DatasetMismatch')
    expect(error.message).toContain(want)
  })

  it('quotes a label for the node alone', () => {
    const error = refusal(() => toSamples(table({ labels: Float32Array.of(0, 77) }), manifest()))
    expect(error.message).not.toContain('77')
    expect(error.local).toContain('77')
  })
})

/** Row i has x = [i, i] and y = i. */
function samplesOf(count: number): Samples {
  const x = Float32Array.from({ length: count * 2 }, (_, index) => Math.floor(index / 2))
  return { x, y: Int32Array.from({ length: count }, (_, index) => index), count }
}

const kinds = [HoldoutSplit.TAIL, HoldoutSplit.RANDOM]
const splits = fc.record({
  count: fc.integer({ min: 2, max: 300 }),
  fraction: fc.double({ min: 0, max: 0.49, noNaN: true }),
  seed: fc.maxSafeNat(),
  kind: fc.constantFrom(...kinds),
})

describe('splitSamples', () => {
  it('holds out the last rows', () => {
    const split = splitSamples(
      samplesOf(10),
      { fraction: 0.25, kind: HoldoutSplit.TAIL, seed: 1 },
      'rows.csv',
    )
    expect([...split.training.y]).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect([...split.heldOut.y]).toEqual([8, 9])
    expect([...split.heldOut.x]).toEqual([8, 8, 9, 9])
  })

  it('draws other rows with another seed, and the same with the same', () => {
    const drawn = (seed: number) => {
      const split = { fraction: 0.2, kind: HoldoutSplit.RANDOM, seed }
      return [...splitSamples(samplesOf(100), split, 'rows.csv').heldOut.y]
    }
    expect(drawn(1)).toEqual(drawn(1))
    expect(drawn(1)).not.toEqual(drawn(2))
    expect(drawn(1)).not.toEqual([...Array(20).keys()].map((index) => index + 80))
  })

  it('puts every row with its label into exactly one part', () => {
    fc.assert(
      fc.property(splits, ({ count, ...split }) => {
        const { training, heldOut } = splitSamples(samplesOf(count), split, 'rows.csv')
        const labels = [...training.y, ...heldOut.y].sort((a, b) => a - b)
        expect(labels).toEqual([...Array(count).keys()])
        for (const part of [training, heldOut]) {
          expect(part.count).toBe(part.y.length)
          expect([...part.x]).toEqual([...part.y].flatMap((label) => [label, label]))
        }
        expect(training.count).toBeGreaterThan(0)
        expect(heldOut.count).toBe(split.fraction > 0 ? Math.max(1, Math.floor(count * split.fraction)) : 0)
      }),
    )
  })

  it('refuses a data set of which nothing would be left to train on', () => {
    const split = { fraction: 0.2, kind: HoldoutSplit.TAIL, seed: 1 }
    const error = refusal(() => splitSamples(samplesOf(1), split, '/data/rows.csv'))
    expect(error).toMatchObject({ reason: 'DatasetMismatch' })
    expect(error.message).toContain('of its 1 rows 1 would be held out')
  })
})
