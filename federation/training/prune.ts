/*
 * Finishes a graph that was built: its outputs are named, and what they do not depend on is left out.
 */
import type { GraphBuilder } from './builder.ts'
import type { Graph } from './graph.ts'
import { withoutDead } from './passes/dead.ts'

export function prune({ inputs, initializers, nodes }: GraphBuilder, outputs: Graph['outputs']): Graph {
  return withoutDead({ inputs, outputs, initializers, nodes })
}
