/*
 * Models exported for one batch size have that size in the target shapes of their Reshape nodes. There a 0 takes
 * its place, which copies the size from the node's input.
 */
import type { Shape } from './builder.ts'
import { int64Tensor, type Node, type TensorValue } from './graph.ts'
import type { Model } from './model.ts'

export function withoutFixedBatch(model: Model, shapes: ReadonlyMap<string, Shape>, batch: number): Model {
  const constants = constantsOf(model)
  const initializers = new Map(model.initializers)
  const nodes = model.nodes.map((node, index) => {
    const [data = '', target = ''] = node.inputs
    const value = constants.get(target)
    if (!value || !fixesBatch(node, value, batch) || shapes.get(data)?.[0] !== batch) return node
    const name = `${target}.batch.${index}`
    initializers.set(name, int64Tensor([0, ...Array.from(value.data, Number).slice(1)]))
    return { ...node, inputs: [data, name] }
  })
  return { ...model, initializers, nodes }
}

function fixesBatch(node: Node, target: TensorValue, batch: number): boolean {
  return node.op === 'Reshape' && !node.attributes['allowzero'] && Number(target.data[0]) === batch
}

/** Initializers, and what Constant nodes hold as tensors. */
export function constantsOf(model: Pick<Model, 'nodes' | 'initializers'>): Map<string, TensorValue> {
  const constants = new Map(model.initializers)
  for (const { op, outputs, attributes } of model.nodes) {
    const value = attributes['value']
    if (op === 'Constant' && value?.kind === 'tensor') constants.set(outputs[0] ?? '', value.value)
  }
  return constants
}
