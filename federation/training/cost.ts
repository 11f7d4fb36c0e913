/*
 * What a step costs, estimated from the shapes of its values, and how many steps a call should therefore take: many
 * where a call costs as much as a step, one where it does not matter. A call blocks its thread, so that a machine
 * ten times slower than the one that the estimate has in mind still answers within seconds.
 */
import { type Graph, intOf, type Node } from './graph.ts'
import type { Inferred } from './infer.ts'
import { elementCount } from './manifest.ts'

/** Fitted to one core of a server: to start an operator, to multiply and add, to write an element. */
const NODE_MICROSECONDS = 2
const PRODUCTS_A_MICROSECOND = 25_000
const ELEMENTS_A_MICROSECOND = 1000

const CALL_MICROSECONDS = 100_000
const STEPS_LIMIT = 64
/** Elements of random numbers that a call may hold. */
const PER_STEP_ELEMENTS = 2 ** 22

type Shapes = ReadonlyMap<string, Inferred>

export function stepMicroseconds(graph: Graph, shapes: Shapes): number {
  return graph.nodes.reduce((total, node) => total + nodeMicroseconds(node, shapes), 0)
}

/** 1, or so many steps that a call takes about a tenth of a second and holds what differs between its steps. */
export function stepsPerCall(microseconds: number, elementsPerStep: number): number {
  const byTime = Math.floor(CALL_MICROSECONDS / microseconds)
  const bySize = Math.floor(PER_STEP_ELEMENTS / elementsPerStep)
  const steps = Math.min(STEPS_LIMIT, byTime, bySize)
  return steps >= 8 ? steps : 1
}

function nodeMicroseconds(node: Node, shapes: Shapes): number {
  const written = node.outputs.reduce((sum, name) => sum + countOf(shapes, name), 0)
  return (
    NODE_MICROSECONDS + written / ELEMENTS_A_MICROSECOND + products(node, shapes) / PRODUCTS_A_MICROSECOND
  )
}

/** Multiplications and additions of matrix products and convolutions. */
function products(node: Node, shapes: Shapes): number {
  const [left = '', right = ''] = node.inputs
  const made = countOf(shapes, node.outputs[0] ?? '')
  const shape = shapes.get(left)?.shape ?? []
  const filter = shapes.get(right)?.shape ?? []
  switch (node.op) {
    case 'Gemm':
      return made * (shape[intOf(node, 'transA', 0) === 1 ? 0 : 1] ?? 1)
    case 'MatMul':
      return made * (shape.at(-1) ?? 1)
    case 'Conv':
      return made * elementCount(filter.slice(1))
    case 'ConvTranspose':
      return elementCount(shape) * elementCount(filter.slice(1))
    default:
      return 0
  }
}

function countOf(shapes: Shapes, name: string): number {
  return elementCount(shapes.get(name)?.shape ?? [0])
}
