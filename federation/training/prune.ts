/*
 * Keeps of a graph only what its outputs depend on. Inputs stay: they are the graph's interface.
 */
import type { GraphBuilder } from './builder.ts'
import { type Graph, type Node, valuesRead } from './graph.ts'

export function prune(builder: GraphBuilder, outputs: Graph['outputs']): Graph {
  const wanted = new Set(outputs.map(({ name }) => name))
  const kept: Node[] = []
  for (const node of builder.nodes.toReversed()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue
    kept.push(node)
    for (const name of valuesRead(node)) wanted.add(name)
  }
  const initializers = new Map([...builder.initializers].filter(([name]) => wanted.has(name)))
  return { inputs: builder.inputs, outputs, initializers, nodes: kept.reverse() }
}
