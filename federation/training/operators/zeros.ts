/*
 * Gradients that start as zeros, into which those of single elements are added.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { int } from '../graph.ts'

/** Zeros of a shape: one node, not a constant of that size in the file. */
export function zerosLike(builder: GraphBuilder, shape: Shape): string {
  return builder.add('ConstantOfShape', [builder.int64(shape)])
}

/**
 * Adds rows into zeros: result[b, indices[i], c] += rows[b, i, c]. Equal indices add up in order.
 * (ScatterElements, because ONNX Runtime's ScatterND adds from several threads at once and loses summands.)
 *
 * @param rows shape [before, count, after]
 * @param indices int64 of shape [count], or [before, count] where they differ
 */
export function scatterRows(
  builder: GraphBuilder,
  rows: { name: string; shape: readonly [number, number, number] },
  indices: { name: string; perBatch: boolean },
  size: number,
): string {
  const [before, count, after] = rows.shape
  const column = builder.reshape(indices.name, [indices.perBatch ? before : 1, count, 1])
  const spread = builder.add('Expand', [column, builder.int64([before, count, after])])
  const zeros = zerosLike(builder, [before, size, after])
  return builder.add('ScatterElements', [zeros, spread, rows.name], {
    axis: int(1),
    reduction: { kind: 'string', value: 'add' },
  })
}
