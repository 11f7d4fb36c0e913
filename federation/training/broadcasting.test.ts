/*
 * Gradients under broadcasting, for shapes that nobody chose: against central differences of a plain float64
 * implementation of the operator.
 */
import fc from 'fast-check'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'

import { emitBackward } from './backward.ts'
import { emitForward } from './emit.ts'
import { floatTensor } from './graph.ts'
import { elementCount } from './manifest.ts'
import { broadcastShape } from './operators/broadcast.ts'
import { prune } from './prune.ts'
import { node, someNumbers, x } from './testdata/models.ts'
import { COMPILED_OPSET, writeModel } from './write.ts'

interface Operand {
  shape: number[]
  data: number[]
}

/** y as a function of both operands' data, in float64. */
type Reference = (a: Operand, b: Operand) => number[]

const SCALARS: Record<string, (a: number, b: number) => number> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
}

/** Two shapes that broadcast: each drops leading dimensions of a common one, and has 1 in place of some. */
const shapePair = fc
  .array(fc.integer({ min: 1, max: 4 }), { minLength: 0, maxLength: 4 })
  .chain((full) => fc.tuple(part(full), part(full)))

function part(full: readonly number[]): fc.Arbitrary<number[]> {
  const from = fc.nat(full.length)
  const ones = fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length })
  return fc
    .tuple(from, ones)
    .map(([start, isOne]) => full.map((size, axis) => (isOne[axis] ? 1 : size)).slice(start))
}

describe('gradients under broadcasting', () => {
  it.each(Object.keys(SCALARS))('of %s equal central differences', async (op) => {
    const scalar = SCALARS[op] ?? ((a) => a)
    await fc.assert(
      fc.asyncProperty(shapePair, async ([a, b]) => {
        await expectGradients(op, [operand(a, 1), operand(b, 2)], (left, right) =>
          elementwise(scalar, left, right),
        )
      }),
      { numRuns: 40 },
    )
  })

  it('of MatMul equal central differences', async () => {
    const size = fc.integer({ min: 1, max: 3 })
    await fc.assert(
      fc.asyncProperty(shapePair, fc.tuple(size, size, size), async ([a, b], [rows, inner, columns]) => {
        const operands: [Operand, Operand] = [
          operand([...a.slice(-2), rows, inner], 1),
          operand([...b.slice(-2), inner, columns], 2),
        ]
        await expectGradients('MatMul', operands, matMul)
      }),
      { numRuns: 40 },
    )
  })
})

async function expectGradients(op: string, [a, b]: [Operand, Operand], reference: Reference): Promise<void> {
  const y = reference(a, b)
  const dy = someNumbers(y.length, 3)
  const loss = (left: Operand, right: Operand): number =>
    reference(left, right).reduce((sum, value, index) => sum + value * (dy[index] ?? 0), 0)
  const [da, db] = await gradientsOf(op, [a, b], dy)
  expectClose(
    da,
    differences(a, (changed) => loss(changed, b)),
  )
  expectClose(
    db,
    differences(b, (changed) => loss(a, changed)),
  )
}

async function gradientsOf(op: string, operands: [Operand, Operand], dy: number[]): Promise<number[][]> {
  const [a, b] = operands
  const y =
    op === 'MatMul'
      ? [
          ...broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2)),
          a.shape.at(-2) ?? 1,
          b.shape.at(-1) ?? 1,
        ]
      : broadcastShape(a.shape, b.shape)
  const parameters = operands.map(({ shape, data }, index) => {
    const name = index === 0 ? 'a' : 'b'
    return { name, initializer: name, trainable: true, value: floatTensor(data, shape) }
  })
  const nodes = [node(op, ['a', 'b'], 'y')]
  const model = {
    opset: COMPILED_OPSET,
    inputs: [x(1)],
    outputs: [{ name: 'y' }],
    initializers: new Map(),
    nodes,
    buffers: new Set<string>(),
  }
  const shapes = new Map([
    ['x', [1]],
    ['a', a.shape],
    ['b', b.shape],
    ['y', [...y]],
  ])
  const types = new Map([...shapes.keys()].map((name) => [name, 'float32' as const]))
  const prepared = { model, inputs: [x(1)], output: 'y', parameters, nodes, constants: new Set<string>() }
  const forward = emitForward(prepared, { shapes, types, constants: new Map() }, 'training')
  const seed = forward.builder.input('dy', y)
  const gradients = emitBackward(forward, new Map([['y', seed]]), ['a', 'b'])
  // Identity: a gradient may be dy itself, and an output may not be an input.
  const outputs = ['a', 'b'].map((name) => forward.builder.add('Identity', [gradients.get(name) ?? '']))
  const typed = outputs.map((name, index) => ({
    name,
    type: 'float32' as const,
    shape: operands[index]?.shape ?? [],
  }))
  const bytes = writeModel(prune(forward.builder, typed), 'test', COMPILED_OPSET)
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 })
  const tensor = (data: number[], shape: readonly number[]): Tensor =>
    new Tensor('float32', Float32Array.from(data), shape)
  const result = await session.run({
    x: tensor([0], [1]),
    [forward.sampleWeight]: tensor([1], [1]),
    a: tensor(a.data, a.shape),
    b: tensor(b.data, b.shape),
    [seed]: tensor(dy, y),
  })
  await session.release()
  return outputs.map((name) => Array.from(result[name]?.data ?? [], Number))
}

function operand(shape: number[], seed: number): Operand {
  // Away from 0, for division.
  const data = someNumbers(elementCount(shape), seed).map((value) => Math.fround(value + Math.sign(value)))
  return { shape, data }
}

function differences(at: Operand, loss: (changed: Operand) => number): number[] {
  const step = 1e-5
  return at.data.map((value, index) => {
    const [above, below] = [value + step, value - step].map((moved) =>
      loss({ ...at, data: at.data.with(index, moved) }),
    )
    return ((above ?? 0) - (below ?? 0)) / (2 * step)
  })
}

function elementwise(scalar: (a: number, b: number) => number, a: Operand, b: Operand): number[] {
  const shape = broadcastShape(a.shape, b.shape)
  return positions(shape).map((position) => scalar(read(a, position), read(b, position)))
}

function matMul(a: Operand, b: Operand): number[] {
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
  const inner = Array.from({ length: a.shape.at(-1) ?? 0 }, (_, index) => index)
  return positions([...batch, a.shape.at(-2) ?? 1, b.shape.at(-1) ?? 1]).map((position) => {
    const [row = 0, column = 0] = position.slice(-2)
    const lead = position.slice(0, -2)
    return inner.reduce((sum, k) => sum + read(a, [...lead, row, k]) * read(b, [...lead, k, column]), 0)
  })
}

/** Every position in row-major order. */
function positions(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, size) =>
      all.flatMap((position) => Array.from({ length: size }, (_, index) => [...position, index])),
    [[]],
  )
}

/** The element at a position of the broadcast shape. */
function read({ shape, data }: Operand, position: readonly number[]): number {
  const own = position.slice(position.length - shape.length)
  const offset = shape.reduce((sum, size, axis) => sum * size + (size === 1 ? 0 : (own[axis] ?? 0)), 0)
  return data[offset] ?? NaN
}

function expectClose(got: readonly number[] | undefined, want: readonly number[]): void {
  expect(got?.length).toBe(want.length)
  const scale = Math.max(1, ...want.map(Math.abs))
  for (const [index, value] of want.entries()) {
    expect(Math.abs((got?.[index] ?? NaN) - value) / scale).toBeLessThan(1e-5)
  }
}
