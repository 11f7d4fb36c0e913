/*
 * Operators with indices.
 */
import fc from 'fast-check'

import { int } from '../../graph.ts'
import { elementCount } from '../../manifest.ts'
import { axisOf, type Family, integers, type NodeCase, seeds, shapes, tensors } from '../node-case.ts'

const shaped = fc.tuple(shapes({ minLength: 1, maxLength: 3 }), seeds)
const few = shapes({ minLength: 0, maxLength: 2 })

function indicesBelow(size: number, count: number): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: -size, max: size - 1 }), { minLength: count, maxLength: count })
}

const gather = fc.tuple(shaped, few).chain(([[shape, seed], chosen]) =>
  axisOf(shape.length).chain((axis) =>
    indicesBelow(shape.at(axis) ?? 1, elementCount(chosen)).map((indices): NodeCase => ({
      op: 'Gather',
      inputs: [...tensors([shape], seed), integers(indices, chosen)],
      learning: [0],
      attributes: { axis: int(axis) },
    })),
  ),
)

const gatherElements = fc.tuple(shaped, fc.integer({ min: 1, max: 4 })).chain(([[shape, seed], count]) =>
  axisOf(shape.length).chain((axis) => {
    const chosen = shape.with(axis < 0 ? axis + shape.length : axis, count)
    return indicesBelow(shape.at(axis) ?? 1, elementCount(chosen)).map((indices): NodeCase => ({
      op: 'GatherElements',
      inputs: [...tensors([shape], seed), integers(indices, chosen)],
      learning: [0],
      attributes: { axis: int(axis) },
    }))
  }),
)

/** Index tuples of the first axes after the batch's. */
const gatherND = fc
  .tuple(shaped, fc.integer({ min: 1, max: 3 }), fc.nat(1), fc.integer({ min: 1, max: 2 }))
  .chain(([[given, seed], count, batchDims, length]) => {
    const shape = [...Array<number>(Math.max(0, batchDims + length - given.length)).fill(2), ...given]
    const batch = shape.slice(0, batchDims)
    const sizes = shape.slice(batchDims, batchDims + length)
    const tuple = fc.tuple(...sizes.map((size) => fc.integer({ min: -size, max: size - 1 })))
    const tuples = elementCount(batch) * count
    return fc.array(tuple, { minLength: tuples, maxLength: tuples }).map((indices): NodeCase => ({
      op: 'GatherND',
      inputs: [...tensors([shape], seed), integers(indices.flat(), [...batch, count, length])],
      learning: [0],
      attributes: { batch_dims: int(batchDims) },
    }))
  })

const scatterElements = shaped.chain(([shape, seed]) =>
  axisOf(shape.length).chain((axis) => {
    const size = shape.at(axis) ?? 1
    const all = Array.from({ length: size }, (_, index) => index)
    return fc.shuffledSubarray(all, { minLength: 1 }).map((places): NodeCase => {
      const from = axis < 0 ? axis + shape.length : axis
      const chosen = shape.with(from, places.length)
      const after = elementCount(shape.slice(from + 1))
      const indices = Array.from({ length: elementCount(chosen) }, (_, index) => {
        return places[Math.floor(index / after) % places.length] ?? 0
      })
      const [data, updates] = tensors([shape, chosen], seed)
      return {
        op: 'ScatterElements',
        inputs: [data, integers(indices, chosen), updates],
        learning: [0, 2],
        attributes: { axis: int(axis) },
      }
    })
  }),
)

const scatterND = shaped.chain(([shape, seed]) => {
  const rows = Array.from({ length: shape[0] ?? 1 }, (_, index) => index)
  return fc.shuffledSubarray(rows, { minLength: 1 }).map((places): NodeCase => {
    const [data, updates] = tensors([shape, [places.length, ...shape.slice(1)]], seed)
    return {
      op: 'ScatterND',
      inputs: [data, integers(places, [places.length, 1]), updates],
      learning: [0, 2],
    }
  })
})

const topK = fc.tuple(shaped, fc.boolean()).chain(([[shape, seed], largest]) =>
  axisOf(shape.length).chain((axis) =>
    fc.integer({ min: 1, max: shape.at(axis) ?? 1 }).map((k): NodeCase => ({
      op: 'TopK',
      inputs: [...tensors([shape], seed), integers([k])],
      learning: [0],
      attributes: { axis: int(axis), largest: int(largest ? 1 : 0) },
    })),
  ),
)

export const gathers: readonly Family[] = [
  {
    name: 'gathering and scattering',
    cases: fc.oneof(gather, gatherElements, gatherND, scatterElements, scatterND, topK),
  },
]
