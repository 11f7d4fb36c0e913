/*
 * What normalises images: each sample's channels alone, in groups, or by their neighbours, over one and two spatial
 * dimensions.
 */
import fc from 'fast-check'

import { float, int } from '../../graph.ts'
import { type Family, type NodeCase, seeds, tensors } from '../node-case.ts'

/** Mean and deviation say little about a single element, and differences across steep curves less. */
const EPSILON = float(0.05)

const image = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  groups: fc.integer({ min: 1, max: 3 }),
  each: fc.integer({ min: 1, max: 2 }),
  spatial: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 2, max: 3 })),
  isLine: fc.boolean(),
  seed: seeds,
})

const normalized = fc
  .tuple(fc.constantFrom('InstanceNormalization', 'GroupNormalization'), image)
  .map(([op, { batch, groups, each, spatial, isLine, seed }]): NodeCase => {
    const channels = groups * each
    return {
      op,
      attributes: { epsilon: EPSILON, ...(op === 'GroupNormalization' && { num_groups: int(groups) }) },
      inputs: tensors([[batch, channels, ...spatial.slice(isLine ? 1 : 0)], [channels], [channels]], seed),
      learning: [0, 1, 2],
    }
  })

/** The runtime has it over two spatial dimensions only. */
const localResponse = fc
  .tuple(
    image,
    fc.constantFrom(1, 3, 5, 9),
    fc.record({
      alpha: fc.constantFrom(0.0625, 0.5, 1.5),
      beta: fc.constantFrom(0.5, 0.75, 1),
      bias: fc.constantFrom(0.5, 1, 2),
    }),
  )
  .map(([{ batch, groups, each, spatial, seed }, size, { alpha, beta, bias }]): NodeCase => ({
    op: 'LRN',
    attributes: { size: int(size), alpha: float(alpha), beta: float(beta), bias: float(bias) },
    inputs: tensors([[batch, groups * each, ...spatial]], seed),
    learning: [0],
  }))

export const imageNormalizations: readonly Family[] = [
  { name: 'instance and group normalisation', cases: normalized },
  { name: 'local response normalisation', cases: localResponse },
]
