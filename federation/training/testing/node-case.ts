/*
 * For tests: one node with its inputs, drawn at random, and the numbers in it. Numbers keep a distance from one another
 * and from an operator's kinks, because a difference across a kink says nothing about either side.
 */
import fc from 'fast-check'

import { type Attributes, floatTensor, int64Tensor, type TensorValue } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { Random } from '../random.ts'

export interface NodeCase {
  op: string
  attributes?: Attributes
  /** undefined: an optional input that is absent. */
  inputs: readonly (TensorValue | undefined)[]
  /** Which inputs get gradients. */
  learning: readonly number[]
  /** Outputs with gradients, from the first; 1 if absent. */
  outputs?: number
}

export interface Family {
  name: string
  cases: fc.Arbitrary<NodeCase>
}

export interface Numbers {
  low: number
  high: number
  /** Numbers that none comes close to. */
  kinks?: readonly number[]
}

export const USUAL: Numbers = { low: -2, high: 2, kinks: [0] }
export const POSITIVE: Numbers = { low: 0.3, high: 2 }

const MARGIN = 0.04

/** Float tensors of these shapes; no two numbers in all of them are close to each other. */
export function tensors(
  shapes: readonly (readonly number[])[],
  seed: number,
  { low, high, kinks = [] }: Numbers = USUAL,
): TensorValue[] {
  const counts = shapes.map(elementCount)
  const total = counts.reduce((sum, count) => sum + count, 0)
  const random = new Random(seed)
  const jitter = new Float32Array(total)
  random.fillUniform(jitter)
  const order = Uint32Array.from({ length: total }, (_, index) => index)
  random.shuffle(order)
  const gap = (high - low) / total
  const values = Array.from(order, (place, index) => {
    const value = low + (place + 0.3 + 0.4 * (jitter[index] ?? 0)) * gap
    const near = kinks.find((kink) => Math.abs(value - kink) < MARGIN)
    if (near === undefined) return value
    return near + (value < near ? value - MARGIN - near : value + MARGIN - near)
  })
  let first = 0
  return shapes.map((shape, index) => {
    const count = counts[index] ?? 0
    first += count
    return floatTensor(values.slice(first - count, first), shape)
  })
}

export const integers = int64Tensor

/** Shapes of few elements, so that a case takes few differences. */
export function shapes(bounds: { minLength: number; maxLength: number }): fc.Arbitrary<number[]> {
  return fc
    .array(fc.integer({ min: 1, max: 4 }), bounds)
    .map((shape) => shape.map((size, axis) => (elementCount(shape.slice(0, axis + 1)) > 24 ? 1 : size)))
}

export const seeds = fc.nat(2 ** 31 - 1)

/** A part of the axes, each named from the start or from the end. */
export function someAxes(rank: number): fc.Arbitrary<number[]> {
  const axes = Array.from({ length: rank }, (_, axis) => axis)
  return fc
    .subarray(axes)
    .chain((chosen) => fc.tuple(...chosen.map((axis) => fc.constantFrom(axis, axis - rank))))
}

export function axisOf(rank: number): fc.Arbitrary<number> {
  return fc.integer({ min: -rank, max: rank - 1 })
}

export interface Mismatch {
  case: NodeCase
  input: number
  element: number
  gradient: number
  difference: number
}

export function describeMismatch({ case: given, input, element, gradient, difference }: Mismatch): string {
  const attributes = Object.entries(given.attributes ?? {}).map(
    ([name, { value }]) => `${name} ${JSON.stringify(value)}`,
  )
  const inputs = given.inputs.map((value) => {
    if (!value) return 'nothing'
    const data =
      value.type === 'float32' && value.data.length > 4 ? '' : ` ${Array.from(value.data, Number).join(' ')}`
    return `${value.type} [${value.shape.join(', ')}]${data}`
  })
  return (
    `${given.op} (${attributes.join(', ')}) of ${inputs.join('; ')}: gradient ${gradient} of input ${input} at ${element}, ` +
    `difference ${difference}`
  )
}
