/*
 * The last step of a recurrent layer's outputs is its last hidden state, an output of its own: where a model picks it out
 * of all steps, it reads that instead, and no gradient of all the other steps, all zero, has to be made and carried back.
 */
import type { Shape } from '../builder.ts'
import { int, intOf, intsOf, type Node, stringOf, type TensorValue } from '../graph.ts'

export interface Known {
  shapes: ReadonlyMap<string, Shape>
  constants: ReadonlyMap<string, TensorValue>
}

/** Where a value comes from: the axes of the outputs of a layer's steps, [time, direction, batch, hidden], in its order. */
interface Origin {
  layer: Node
  axes: readonly number[]
}

/**
 * Nodes of the forward pass, Gather of the last step replaced, and the shapes of the values that are new.
 *
 * @param fresh gives an unused name like the one given
 */
export function lastSteps(
  nodes: readonly Node[],
  known: Known,
  fresh: (base: string) => string,
): { nodes: Node[]; shapes: Map<string, Shape> } {
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const states = new Map<Node, string>()
  const shapes = new Map<string, Shape>()
  const picked = nodes.map((node) => {
    const layer = node.op === 'Gather' ? layerOf(node, makers, known) : undefined
    if (!layer) return node
    const [, named = ''] = layer.outputs
    const state = states.get(layer) ?? (named === '' ? fresh('last_state') : named)
    states.set(layer, state)
    shapes.set(state, (known.shapes.get(layer.outputs[0] ?? '') ?? []).slice(1))
    // [1, batch, hidden] → [batch, hidden]
    return { ...node, op: 'Flatten', inputs: [state], attributes: { axis: int(2) } }
  })
  const withStates = picked.map((node, index) => {
    const state = states.get(nodes[index] ?? node)
    return state === undefined ? node : { ...node, outputs: node.outputs.toSpliced(1, 1, state) }
  })
  return { nodes: withStates, shapes }
}

/** The layer, of one direction, whose last step a Gather takes, as [batch, hidden]. */
function layerOf(gather: Node, makers: ReadonlyMap<string, Node>, known: Known): Node | undefined {
  const [from = '', which = ''] = gather.inputs
  const origin = originOf(from, makers, known)
  const index = known.constants.get(which)
  if (!origin || index?.shape.length !== 0) return undefined
  const { layer, axes } = origin
  const [steps = 0, directions = 0] = known.shapes.get(layer.outputs[0] ?? '') ?? []
  const axis = intOf(gather, 'axis', 0)
  const rest = axes.toSpliced(axis, 1)
  const given = Number(index.data[0])
  const last = stringOf(layer, 'direction', 'forward') === 'reverse' ? 0 : steps - 1
  const isLast = axes.at(axis) === 0 && (given < 0 ? given + steps : given) === last
  return isLast && directions === 1 && rest.join() === '2,3' ? layer : undefined
}

function originOf(name: string, makers: ReadonlyMap<string, Node>, known: Known): Origin | undefined {
  const node = makers.get(name)
  if (!node) return undefined
  if (RECURRENT.has(node.op))
    return node.outputs[0] === name ? { layer: node, axes: [0, 1, 2, 3] } : undefined
  if (node.op !== 'Transpose' && node.op !== 'Squeeze') return undefined
  const origin = originOf(node.inputs[0] ?? '', makers, known)
  if (!origin) return undefined
  const { layer, axes } = origin
  if (node.op === 'Transpose') {
    const perm = intsOf(node, 'perm') ?? axes.map((_, index) => axes.length - 1 - index)
    return { layer, axes: perm.map((axis) => axes[axis] ?? 0) }
  }
  const squeezed = known.constants.get(node.inputs[1] ?? '')
  const positions = squeezed && Array.from(squeezed.data, Number).map((axis) => axes.at(axis))
  return positions?.join() === '1' ? { layer, axes: axes.filter((axis) => axis !== 1) } : undefined
}

const RECURRENT: ReadonlySet<string> = new Set(['LSTM', 'GRU', 'RNN'])
