/*
 * torch.export writes torch.chunk and torch.split as a sequence that is made by SplitToSequence and read by SequenceAt.
 * Where sizes and positions are constants, each SequenceAt becomes a Slice of what was split; node stays node, and the
 * SplitToSequence has no use any more. Others stay as they are and are refused.
 */
import { constantsOf } from './fixed-batch.ts'
import { int64Tensor, intOf, type Node, type TensorValue } from './graph.ts'
import type { Model } from './model.ts'

export function withoutSequences(
  model: Pick<Model, 'nodes' | 'initializers'>,
  constant: (value: TensorValue) => string,
): Node[] {
  const constants = constantsOf(model)
  const numbersOf = (name: string | undefined): number[] | undefined => {
    const value = constants.get(name ?? '')
    return value && Array.from(value.data, Number)
  }
  const splits = new Map(
    model.nodes.filter(({ op }) => op === 'SplitToSequence').map((node) => [node.outputs[0], node]),
  )
  return model.nodes.map((node) => {
    const split = node.op === 'SequenceAt' ? splits.get(node.inputs[0]) : undefined
    const position = numbersOf(node.inputs[1])?.[0] ?? -1
    const bounds = split && boundsOf(constants.get(split.inputs[1] ?? ''), position)
    if (!bounds) return node
    const axis = intOf(split, 'axis', 0)
    const inputs = [
      split.inputs[0] ?? '',
      ...[...bounds, axis].map((value) => constant(int64Tensor([value]))),
    ]
    return { ...node, op: 'Slice', inputs, attributes: {} }
  })
}

/** Where the part at a position starts and ends: parts of one size, or of a list of sizes. */
function boundsOf(sizes: TensorValue | undefined, position: number): [number, number] | undefined {
  if (!sizes || position < 0) return undefined
  const numbers = Array.from(sizes.data, Number)
  const [size = 0] = numbers
  if (sizes.shape.length === 0) return [position * size, (position + 1) * size]
  const start = numbers.slice(0, position).reduce((sum, part) => sum + part, 0)
  return [start, start + (numbers[position] ?? 0)]
}
