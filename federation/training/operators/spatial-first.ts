/*
 * Images with their spatial dimensions first: [height, width, batch, channels]. Cutting windows out of such a value
 * copies long runs, and a transformation along height or width is one matrix product for all samples and channels.
 * The operators that work so convert their input and output; a pass over the whole graph (passes/transposes.ts) takes
 * the conversions out again between two of them.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { int, ints, type Node } from '../graph.ts'
import { type Emitter, emitInstead } from './operator.ts'

/** [batch, channels, height, width] ↔ [height, width, batch, channels]: the same permutation both ways. */
export const SPATIAL_FIRST = { perm: ints([2, 3, 0, 1]) }

export function spatialFirst(builder: GraphBuilder, value: string): string {
  return builder.add('Transpose', [value], SPATIAL_FIRST)
}

export function batchFirst(builder: GraphBuilder, value: string): string {
  return builder.add('Transpose', [value], SPATIAL_FIRST)
}

/** Makes the node's output out of the same with its spatial dimensions first. */
export function emitBatchFirst(node: Node, emitter: Emitter, value: string): void {
  emitInstead(node, emitter, { op: 'Transpose', inputs: [value], attributes: SPATIAL_FIRST })
}

export interface Cut {
  starts: Shape
  ends: Shape
  axes: Shape
  steps: Shape
}

export function slice(builder: GraphBuilder, value: string, { starts, ends, axes, steps }: Cut): string {
  return builder.add('Slice', [value, ...[starts, ends, axes, steps].map((each) => builder.int64(each))])
}

export function concat(builder: GraphBuilder, values: readonly string[], axis: number): string {
  const [only] = values
  return values.length === 1 && only !== undefined ? only : builder.add('Concat', values, { axis: int(axis) })
}
