/*
 * Small models for tests, written node by node.
 */
import { type Attributes, floatTensor, type Node, type TensorValue, type ValueInfo } from '../graph.ts'
import { writeModel } from '../write.ts'

export interface ModelParts {
  nodes: readonly Node[]
  initializers?: Record<string, TensorValue>
  inputs?: readonly ValueInfo[]
  output?: string
  opset?: number
}

export function modelBytes({
  nodes,
  initializers = {},
  inputs = [x('batch', 3)],
  output = 'y',
  opset = 17,
}: ModelParts): Uint8Array {
  const outputs = [{ name: output }]
  return writeModel(
    { inputs, outputs, nodes, initializers: new Map(Object.entries(initializers)) },
    'test',
    opset,
  )
}

export function x(...shape: (number | string)[]): ValueInfo {
  return { name: 'x', type: 'float32', shape }
}

export function node(op: string, inputs: string[], output: string, attributes: Attributes = {}): Node {
  return { op, name: output, inputs, outputs: [output], attributes }
}

/** Numbers that look random, the same each time. */
export function someNumbers(count: number, seed = 1): number[] {
  return Array.from({ length: count }, (_, index) => Math.sin((index + 1) * 12.9898 * seed))
}

export function weight(...shape: number[]): TensorValue {
  return floatTensor(
    someNumbers(
      shape.reduce((product, size) => product * size, 1),
      shape.length,
    ),
    shape,
  )
}

export function filled(value: number, ...shape: number[]): TensorValue {
  return floatTensor(Array<number>(shape.reduce((product, size) => product * size, 1)).fill(value), shape)
}

/** x [batch, 3] → Gemm → Relu → Gemm → y [batch, 2] */
export const MLP: ModelParts = {
  nodes: [
    node('Gemm', ['x', 'w1', 'b1'], 'h'),
    node('Relu', ['h'], 'r'),
    node('Gemm', ['r', 'w2', 'b2'], 'y'),
  ],
  initializers: { w1: weight(3, 4), b1: weight(4), w2: weight(4, 2), b2: weight(2) },
}
