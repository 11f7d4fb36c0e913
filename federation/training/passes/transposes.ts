/*
 * Takes transpositions out of the way: those after elementwise operators instead of before them, and two that undo
 * each other not at all. The elements that are computed are the same, bit by bit; they lie elsewhere.
 */
import type { Graph, Node } from '../graph.ts'
import { intsOf, ints, valuesOf } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { withoutDead } from './dead.ts'

const ELEMENTWISE: ReadonlySet<string> = new Set(
  (
    'Abs Add And Cast Clip Div Elu Equal Erf Exp Greater GreaterOrEqual HardSigmoid HardSwish Identity LeakyRelu Less ' +
    'LessOrEqual Log Max Min Mul Neg Not Or Pow Reciprocal Relu Sigmoid Sign Softplus Sqrt Sub Sum Tanh Where'
  ).split(' '),
)

interface Turned {
  source: string
  perm: readonly number[]
}

export function withoutTranspositions(graph: Graph): Graph {
  const sweep = new Sweep(graph)
  for (const node of graph.nodes) sweep.visit(node)
  return withoutDead({ ...graph, nodes: sweep.nodes })
}

class Sweep {
  readonly nodes: Node[] = []
  private readonly turned = new Map<string, Turned>()
  private readonly aliases = new Map<string, string>()
  private readonly taken: Set<string>
  private readonly single: ReadonlySet<string>
  private readonly outputs: ReadonlySet<string>
  /** Of inputs, constants and reshaped values; of others it is not known. */
  private readonly ranks: ReadonlyMap<string, number>
  private readonly uses: ReadonlyMap<string, readonly Node[]>

  constructor(graph: Graph) {
    this.taken = new Set(valuesOf(graph))
    this.outputs = new Set(graph.outputs.map(({ name }) => name))
    this.uses = usesIn(graph)
    const known = [...graph.initializers, ...graph.inputs.map((info) => [info.name, info] as const)]
    this.ranks = new Map([
      ...known.map(([name, { shape }]) => [name, shape.length] as const),
      ...reshapedRanks(graph),
    ])
    this.single = new Set(
      known.filter(([, { shape }]) => elementCount(shape.map(Number)) === 1).map(([name]) => name),
    )
  }

  visit(given: Node): void {
    const node = { ...given, inputs: given.inputs.map((name) => this.aliases.get(name) ?? name) }
    if (node.op === 'Transpose') this.transposition(node)
    else if (ELEMENTWISE.has(node.op)) this.elementwise(node)
    else this.nodes.push(node)
  }

  private transposition(node: Node): void {
    const [input = ''] = node.inputs
    const [output = ''] = node.outputs
    const perm = intsOf(node, 'perm') ?? []
    const before = this.turned.get(input)
    const whole = before
      ? { source: before.source, perm: perm.map((axis) => before.perm[axis] ?? 0) }
      : { source: input, perm }
    if (whole.perm.every((axis, index) => axis === index) && !this.outputs.has(output)) {
      this.aliases.set(output, whole.source)
      return
    }
    this.turned.set(output, whole)
    this.nodes.push({ ...node, inputs: [whole.source], attributes: { perm: ints(whole.perm) } })
  }

  private elementwise(node: Node): void {
    const perm = this.commonTransposition(node)
    const [output = ''] = node.outputs
    if (!perm || node.outputs.length > 1) {
      this.nodes.push(node)
      return
    }
    const source = this.fresh(`${output}.turned`)
    const inputs = node.inputs.map((name) => this.before(name, perm))
    this.nodes.push({ ...node, name: source, inputs, outputs: [source] })
    this.nodes.push({
      op: 'Transpose',
      name: output,
      inputs: [source],
      outputs: [output],
      attributes: { perm: ints(perm) },
    })
    this.turned.set(output, { source, perm })
  }

  /**
   * The one that all inputs with more than one element have gone through; or that some have gone through, if the
   * output is only used with it undone, so that the others are turned instead of the output.
   */
  private commonTransposition(node: Node): readonly number[] | undefined {
    const large = node.inputs.filter((name) => name !== '' && !this.single.has(name))
    const perms = large.map((name) => this.turned.get(name)?.perm)
    const [first] = perms.filter((perm) => perm !== undefined)
    if (!first || perms.some((perm) => perm && perm.join() !== first.join())) return undefined
    if (perms.every((perm) => perm)) return first
    const others = large.filter((name) => !this.turned.has(name))
    const sameRank = others.every((name) => this.ranks.get(name) === first.length)
    return sameRank && this.isUndone(node.outputs[0] ?? '', first) ? first : undefined
  }

  private isUndone(output: string, perm: readonly number[]): boolean {
    const uses = this.uses.get(output) ?? []
    const undo = inverse(perm).join()
    return (
      !this.outputs.has(output) &&
      uses.every((use) => use.op === 'Transpose' && intsOf(use, 'perm')?.join() === undo)
    )
  }

  /** The value that gives the named one when it goes through the transposition. */
  private before(name: string, perm: readonly number[]): string {
    if (name === '' || this.single.has(name)) return name
    const known = this.turned.get(name)?.source
    if (known !== undefined) return known
    const source = this.fresh(`${name}.turned`)
    this.nodes.push({
      op: 'Transpose',
      name: source,
      inputs: [name],
      outputs: [source],
      attributes: { perm: ints(inverse(perm)) },
    })
    this.turned.set(name, { source, perm })
    return source
  }

  private fresh(base: string): string {
    let name = base
    for (let i = 2; this.taken.has(name); i++) name = `${base}.${i}`
    this.taken.add(name)
    return name
  }
}

function usesIn({ nodes }: Graph): Map<string, Node[]> {
  const uses = new Map<string, Node[]>()
  for (const node of nodes) {
    for (const name of node.inputs) uses.set(name, [...(uses.get(name) ?? []), node])
  }
  return uses
}

function inverse(perm: readonly number[]): number[] {
  return perm.map((_, axis) => perm.indexOf(axis))
}

function reshapedRanks({ initializers, nodes }: Graph): [string, number][] {
  return nodes
    .filter(({ op }) => op === 'Reshape')
    .flatMap(({ inputs, outputs }) => {
      const target = initializers.get(inputs[1] ?? '')
      return target ? [[outputs[0] ?? '', target.data.length] as [string, number]] : []
    })
}
