import { describe, expect, it } from 'vitest'

import { readConfiguration, type TrainingConfigurationInput } from '../configuration.ts'
import { type Nature, rowsOfShards, shardsFor } from './shares.ts'

const LONG: Nature = { mixesRows: false, microseconds: 20_000, parameters: 10_000 }

const CASES: { name: string; more: Partial<TrainingConfigurationInput>; nature?: Nature; want: number }[] = [
  { name: 'a shard a thread', more: { threads: 3 }, want: 3 },
  { name: 'one where there is one thread', more: {}, want: 1 },
  { name: 'not more than rows', more: { threads: 8, batchSize: 5 }, want: 5 },
  { name: 'one of a short step', more: { threads: 2 }, nature: { ...LONG, microseconds: 900 }, want: 1 },
  {
    name: 'one of a step that is short for its many parameters',
    more: { threads: 2 },
    nature: { ...LONG, parameters: 2_000_000 },
    want: 1,
  },
  {
    name: 'several of a short step that is the host’s in any case',
    more: { threads: 2, update: 'Host' },
    nature: { ...LONG, microseconds: 900 },
    want: 2,
  },
  {
    name: 'one where rows depend on one another',
    more: { threads: 2 },
    nature: { ...LONG, mixesRows: true },
    want: 1,
  },
  {
    name: 'one where the norm of the whole gradient counts',
    more: { threads: 2, gradientClipping: { type: 'Norm', maximum: 1 } },
    want: 1,
  },
  {
    name: 'one with privacy',
    more: { threads: 2, privacy: { clippingNorm: 1, noiseMultiplier: 1 } },
    want: 1,
  },
  { name: 'one where the graph is to update', more: { threads: 2, update: 'Graph' }, want: 1 },
  { name: 'one where a call is to take several steps', more: { threads: 2, stepsPerCall: 4 }, want: 1 },
]

describe('a batch is divided into', () => {
  it.each(CASES)('$name', ({ more, nature = LONG, want }) => {
    const configuration = readConfiguration({
      loss: { type: 'SoftmaxCrossEntropy' },
      optimizer: { type: 'SGD' },
      batchSize: 32,
      ...more,
    })
    expect(shardsFor(configuration, nature)).toBe(want)
  })
})

it.each([
  { rows: 32, shards: 2, want: [16, 16] },
  { rows: 10, shards: 4, want: [3, 3, 3, 1] },
  { rows: 3, shards: 2, want: [2, 1] },
  { rows: 1, shards: 3, want: [1, 0, 0] },
])('$rows rows in $shards shards are $want', ({ rows, shards, want }) => {
  expect(rowsOfShards(rows, shards)).toEqual(want)
})
