/*
 * Puts a model of any supported opset into the form of the compiled graph's opset, so that everything after it knows
 * one form only. Node stays node: indices keep their meaning, and published models keep the user's own graph.
 *
 * What changed between opsets 13 and 21, for operators that occur here: reductions got their axes as an input (18),
 * Split needs num_outputs where sizes are not given (18), BatchNormalization lost the outputs that only training had
 * (14). GroupNormalization's scale has an element for each channel instead of each group (21): the operator takes both,
 * but the runtime must be told the opset. Later opsets only add element types and operators.
 */
import { int, int64Tensor, intsOf, type Node, type TensorValue } from './graph.ts'
import type { Model } from './model.ts'
import { namesOf } from './parameters.ts'
import { withoutSequences } from './sequences.ts'
import { COMPILED_OPSET } from './write.ts'

export function upgraded(model: Model): Model {
  const initializers = new Map(model.initializers)
  const taken = new Set(namesOf(model))
  const constant = (value: TensorValue): string => {
    let name = `upgrade.${initializers.size}`
    while (taken.has(name)) name += '_'
    taken.add(name)
    initializers.set(name, value)
    return name
  }
  const plain = withoutSequences(model, constant)
  if (model.opset >= COMPILED_OPSET) return { ...model, initializers, nodes: plain }
  const nodes = plain.map((node) => upgradedNode(node, { opset: model.opset, constant }))
  const perGroup = model.opset < 21 && nodes.some(({ op }) => op === 'GroupNormalization')
  return { ...model, opset: perGroup ? 20 : COMPILED_OPSET, initializers, nodes }
}

interface Context {
  opset: number
  constant: (value: TensorValue) => string
}

function upgradedNode(node: Node, { opset, constant }: Context): Node {
  if (opset < 18 && node.op.startsWith('Reduce')) return withAxesInput(node, constant)
  if (opset < 18 && node.op === 'Split' && (node.inputs[1] ?? '') === '') {
    return { ...node, attributes: { ...node.attributes, num_outputs: int(node.outputs.length) } }
  }
  if (opset < 14 && node.op === 'BatchNormalization') return { ...node, outputs: node.outputs.slice(0, 1) }
  return node
}

function withAxesInput(node: Node, constant: Context['constant']): Node {
  const axes = intsOf(node, 'axes')
  if (!axes) return node
  const attributes = Object.fromEntries(Object.entries(node.attributes).filter(([name]) => name !== 'axes'))
  return { ...node, inputs: [...node.inputs.slice(0, 1), constant(int64Tensor(axes))], attributes }
}
