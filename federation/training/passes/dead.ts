/*
 * Dead code: keeps of a graph only what its outputs depend on. Inputs stay, they are the graph's interface.
 */
import { type Graph, type Node, valuesRead } from '../graph.ts'

export function withoutDead(graph: Graph): Graph {
  const wanted = new Set(graph.outputs.map(({ name }) => name))
  const kept: Node[] = []
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue
    kept.push(node)
    for (const name of valuesRead(node)) wanted.add(name)
  }
  const initializers = new Map([...graph.initializers].filter(([name]) => wanted.has(name)))
  return { ...graph, initializers, nodes: kept.reverse() }
}
