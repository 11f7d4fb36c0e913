/*
 * Takes the final activation off a model whose loss works on logits: Softmax or LogSoftmax for
 * SoftmaxCrossEntropy, Sigmoid for BinaryCrossEntropy. The result is the same function with a loss that stays
 * exact where probabilities round to 0 or 1. A model that ends in neither gives logits already.
 */
import type { Shape } from './builder.ts'
import type { Loss } from './configuration.ts'
import { ModelError } from './errors.ts'
import { describeNode, intOf, type Node } from './graph.ts'
import { positiveAxis } from './operators/operator.ts'
import type { Prepared } from './prepare.ts'

const PASSING: Record<Loss['type'], readonly string[]> = {
  SoftmaxCrossEntropy: ['Identity'],
  BinaryCrossEntropy: ['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'],
  MeanSquaredError: [],
  Huber: [],
}

const OWN: Record<Loss['type'], readonly string[]> = {
  SoftmaxCrossEntropy: ['Softmax', 'LogSoftmax'],
  BinaryCrossEntropy: ['Sigmoid'],
  MeanSquaredError: [],
  Huber: [],
}

/** @param shapes of the model's values */
export function withLogits(prepared: Prepared, loss: Loss, shapes: ReadonlyMap<string, Shape>): Prepared {
  const last = finalActivation(prepared, PASSING[loss.type])
  if (!last || PASSING[loss.type].length === 0) return prepared
  const others = Object.values(OWN)
    .flat()
    .filter((op) => !OWN[loss.type].includes(op))
  if (others.includes(last.op)) {
    const [right] = Object.entries(OWN).find(([, ops]) => ops.includes(last.op)) ?? ['']
    throw new ModelError(
      `loss ${loss.type} does not fit a model that ends in ${describeNode(last)}: use ${right}, or leave the ` +
        'activation out of the model',
    )
  }
  if (!OWN[loss.type].includes(last.op)) return prepared
  checkAxis(last, loss, shapes.get(last.outputs[0] ?? ''))
  const identity: Node = { ...last, op: 'Identity', attributes: {} }
  return { ...prepared, nodes: prepared.nodes.map((node) => (node === last ? identity : node)) }
}

/**
 * The node that makes the output, seen through nodes that only pass it on. All other nodes come before it: nodes
 * that the output does not depend on have been left out.
 */
function finalActivation({ nodes, output }: Prepared, passing: readonly string[]): Node | undefined {
  const makers = new Map(nodes.map((node) => [node.outputs[0], node]))
  let node = makers.get(output)
  while (node && passing.includes(node.op)) node = makers.get(node.inputs[0])
  return node
}

/** Classes are axis 1; of two axes that is also the last. */
function checkAxis(node: Node, loss: Loss, shape: Shape = []): void {
  if (loss.type !== 'SoftmaxCrossEntropy') return
  const axis = intOf(node, 'axis', -1)
  if (positiveAxis(axis, shape.length) === 1) return
  throw new ModelError(
    `${describeNode(node)}: its axis is ${axis} of [${['batch', ...shape.slice(1)].join(', ')}]; loss ${loss.type} ` +
      'needs axis 1, the classes',
  )
}
