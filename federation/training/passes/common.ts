/*
 * Common subexpressions: nodes that do the same with the same inputs become one. What a graph gives out keeps its
 * name. Nodes with a body are left alone. Every operator of a compiled graph gives the same for the same.
 */
import type { Attribute, Graph, Node } from '../graph.ts'

export function withoutRepetition(graph: Graph): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  const known = new Map<string, Node>()
  const names = new Map<string, string>()
  const nodes: Node[] = []
  for (const given of graph.nodes) {
    const node = { ...given, inputs: given.inputs.map((name) => names.get(name) ?? name) }
    const key = keyOf(node)
    const same = key === undefined ? undefined : known.get(key)
    if (same && !node.outputs.some((name) => outputs.has(name))) {
      for (const [index, name] of node.outputs.entries()) names.set(name, same.outputs[index] ?? '')
      continue
    }
    if (key !== undefined && !same) known.set(key, node)
    nodes.push(node)
  }
  return { ...graph, nodes }
}

function keyOf({ op, inputs, outputs, attributes }: Node): string | undefined {
  const entries = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1))
  if (entries.some(([, { kind }]) => kind === 'graph')) return undefined
  const settings = entries.map(([name, attribute]) => [name, attribute.kind, valueOf(attribute)])
  return JSON.stringify([op, inputs, outputs.map((name) => name !== ''), settings])
}

function valueOf(attribute: Attribute): unknown {
  if (attribute.kind !== 'tensor') return attribute.kind === 'graph' ? undefined : attribute.value
  const { type, shape, data } = attribute.value
  return [type, shape, data.join()]
}
