/*
 * Which convolutions are faster on blocks of channels, and how they are written so: the data is reordered before and
 * after, where it has not been already, and the weight is laid out with blocks of outputs (and of inputs) innermost.
 * Convolutions of one channel each need no other order of their weight where that is made of data in blocks.
 */
import type { AttributeProto, GraphProto, NodeProto } from 'onnx-buf'

import type { Shape } from '../builder.ts'
import { int } from '../graph.ts'
import { writeAttributes } from '../graph-proto.ts'
import { elementCount } from '../manifest.ts'
import { BLOCKED_DOMAIN, namesIn, Rewriting } from './rewriting.ts'

/** Rewrites the graph and the bodies in it; false if it has no such convolution. */
export function withBlockedConvolutions(graph: GraphProto, block: number): boolean {
  return rewrite(graph, block, new Set(namesIn(graph)))
}

function rewrite(graph: GraphProto, block: number, taken: Set<string>): boolean {
  const convolutions = new BlockedConvolutions(new Rewriting(graph, taken), block)
  let changed = false
  for (const node of graph.node) {
    for (const { g } of node.attribute) if (g && rewrite(g, block, taken)) changed = true
    if (convolutions.visit(node)) changed = true
  }
  convolutions.rewriting.finish()
  return changed
}

/**
 * How a convolution works on blocks. All but `perChannel` have blocks of outputs in the weight:
 *   blocks      blocks of inputs too
 *   fewInputs   fewer inputs than a block, which stay as they are
 *   perChannel  one input and one output for each channel (depthwise)
 */
type Form = 'blocks' | 'fewInputs' | 'perChannel'

interface Described {
  x: string
  w: string
  bias: readonly string[]
  y: string
  form: Form
  /** [outputs, inputs of a group, height, width] */
  kernel: Shape
  attributes: readonly AttributeProto[]
}

class BlockedConvolutions {
  readonly rewriting: Rewriting
  private readonly block: number
  private readonly reordered = new Map<string, string>()
  private readonly weights = new Map<string, string>()

  constructor(rewriting: Rewriting, block: number) {
    this.rewriting = rewriting
    this.block = block
  }

  /** Adds the node, or what computes the same on blocks. */
  visit(node: NodeProto): boolean {
    const described = this.describe(node)
    if (described) this.convolution(described)
    else this.rewriting.nodes.push(node)
    return described !== undefined
  }

  private describe(node: NodeProto): Described | undefined {
    if (node.opType !== 'Conv' || node.domain !== '') return undefined
    const [x = '', w = '', ...bias] = node.input
    const kernel = this.rewriting.shape(w)
    if (kernel?.length !== 4) return undefined
    const group = Number(node.attribute.find(({ name }) => name === 'group')?.i ?? 1n)
    const form = formOf(kernel, group, this.block)
    return form && { x, w, bias, y: node.output[0] ?? '', form, kernel, attributes: node.attribute }
  }

  private convolution({ x, w, bias, y, form, kernel, attributes }: Described): void {
    const { rewriting } = this
    const data = form === 'fewInputs' ? x : this.inBlocks(x)
    const inputs = [data, this.weight(w, form, kernel), ...bias]
    const made = rewriting.add({ op: 'Conv', domain: BLOCKED_DOMAIN, inputs, attributes })
    const channels = writeAttributes({ channels: int(kernel[0] ?? 0) })
    rewriting.add({ op: 'ReorderOutput', domain: BLOCKED_DOMAIN, inputs: [made], attributes: channels }, y)
  }

  /** [batch, channels, height, width], with blocks of channels innermost. */
  private inBlocks(value: string): string {
    const known = this.reordered.get(value)
    if (known !== undefined) return known
    const made = this.reshapedInBlocks(value) ?? this.reorder(value)
    this.reordered.set(value, made)
    return made
  }

  private reorder(value: string): string {
    return this.rewriting.add({ op: 'ReorderInput', domain: BLOCKED_DOMAIN, inputs: [value] })
  }

  /** Samples and channels that have become the same dimension are in blocks if the channels were. */
  private reshapedInBlocks(value: string): string | undefined {
    const { rewriting, block } = this
    const source = rewriting.source(value)
    const [from, to] = [rewriting.shape(source ?? ''), rewriting.shape(value)]
    if (source === undefined || from?.length !== 4 || to?.length !== 4) return undefined
    const [batch = 1, channels = 1, ...positions] = from
    const merged = to[0] === 1 ? to[1] === batch * channels : to[1] === 1 && to[0] === batch * channels
    if (!merged || channels % block !== 0 || to.slice(2).join() !== positions.join()) return undefined
    return rewriting.reshape(this.inBlocks(source), to)
  }

  private weight(w: string, form: Form, kernel: Shape): string {
    const known = this.weights.get(w)
    if (known !== undefined) return known
    const reshaped = form === 'perChannel' ? this.reshapedInBlocks(w) : undefined
    const made = reshaped ?? this.turnedWeight(w, form, kernel)
    this.weights.set(w, made)
    return made
  }

  private turnedWeight(w: string, form: Form, kernel: Shape): string {
    const { rewriting, block } = this
    const [outputs = 1, inputs = 1, height = 1, width = 1] = kernel
    const split =
      form === 'blocks'
        ? [outputs / block, block, inputs / block, block, height * width]
        : [outputs / block, block, inputs * height * width]
    const perm = form === 'blocks' ? [0, 2, 4, 3, 1] : [0, 2, 1]
    return rewriting.reshape(rewriting.transpose(rewriting.reshape(w, split), perm), kernel)
  }
}

function formOf(kernel: Shape, group: number, block: number): Form | undefined {
  const [outputs = 0, inputs = 0] = kernel
  // One element is a matrix product, which is as fast without reordering.
  if (elementCount(kernel.slice(2)) === 1 || outputs % block !== 0) return undefined
  if (group > 1) return inputs === 1 && outputs === group ? 'perChannel' : undefined
  if (inputs % block === 0) return 'blocks'
  return inputs < block ? 'fewInputs' : undefined
}
