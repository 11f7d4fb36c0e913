/*
 * The passes over a compiled graph, in the order in which they are applied. Each is a function from a graph to a
 * graph that computes the same, bit by bit. Folding, which asks the runtime, and recomputation come after them.
 */
import type { Graph } from '../graph.ts'
import { withoutRepetition } from './common.ts'
import { withoutDead } from './dead.ts'
import { withoutTranspositions } from './transposes.ts'

export type Pass = (graph: Graph) => Graph

export const PASSES: Readonly<Record<string, Pass>> = {
  transpositions: withoutTranspositions,
  repetition: withoutRepetition,
  dead: withoutDead,
}

export function optimized(graph: Graph, passes: Iterable<Pass> = Object.values(PASSES)): Graph {
  let result = graph
  for (const pass of passes) result = pass(result)
  return result
}
