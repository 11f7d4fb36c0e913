/*
 * MaxPool of Relu is Relu of MaxPool, with fewer elements to cut off. The gradient is the same as well: where the
 * maximum is not positive nothing flows back either way.
 */
import type { Shape } from '../builder.ts'
import { intOf, type Node } from '../graph.ts'

/** Nodes of the forward pass, and the shapes of their values, in the other order. */
export function reluAfterPooling(
  nodes: readonly Node[],
  shapes: ReadonlyMap<string, Shape>,
  output: string,
): { nodes: Node[]; shapes: Map<string, Shape> } {
  const result = [...nodes]
  const sizes = new Map(shapes)
  for (const [at, pool] of nodes.entries()) {
    const from = result.findIndex(({ outputs }) => outputs[0] === pool.inputs[0])
    const relu = result[from]
    if (!relu || !canSwap(pool, relu, { nodes, output })) continue
    const [between = ''] = relu.outputs
    const [pooled = ''] = pool.outputs
    result[from] = { ...pool, inputs: relu.inputs, outputs: [between] }
    result[at] = { ...relu, inputs: [between], outputs: [pooled] }
    sizes.set(between, shapes.get(pooled) ?? [])
  }
  return { nodes: result, shapes: sizes }
}

function canSwap(
  pool: Node,
  relu: Node,
  { nodes, output }: { nodes: readonly Node[]; output: string },
): boolean {
  const [between = ''] = relu.outputs
  const uses = nodes.flatMap(({ inputs }) => inputs).filter((name) => name === between)
  return (
    pool.op === 'MaxPool' &&
    relu.op === 'Relu' &&
    uses.length === 1 &&
    between !== output &&
    pool.outputs.length === 1 &&
    intOf(pool, 'storage_order', 0) === 0
  )
}
