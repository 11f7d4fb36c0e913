/*
 * Where ONNX Runtime's planner puts the values of a run: a view with what it shows, a result over an operand that nothing
 * else reads, any other value where one of the same shape was that nothing reads any more. Such a place is held from its
 * first use to its last.
 */
import { type Node, valuesRead } from './graph.ts'
import type { Shapes } from './infer.ts'
import { elementCount } from './manifest.ts'

/** These give their first input in another shape, without a copy. */
const VIEWS: ReadonlySet<string> = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity'])
/** These write over an operand that nothing else reads. */
const IN_PLACE: ReadonlySet<string> = new Set(
  (
    'Abs Add Cast Ceil Clip Div Elu Exp Floor HardSigmoid LeakyRelu Log Mul Neg Reciprocal Relu Selu Sigmoid Softplus ' +
    'Sqrt Sub Sum Tanh'
  ).split(' '),
)

/**
 * Value → the one whose memory it has; a value that is not in it has its own.
 * @param order nodes as they run
 * @param outside values that the caller holds
 */
export function placesOf(
  order: readonly Node[],
  shapes: Shapes,
  outside: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const planner = new Planner(order, shapes, outside)
  for (const node of order) planner.visit(node)
  return planner.places
}

export function bytesOf(name: string, shapes: Shapes): number {
  const value = shapes.get(name)
  return value ? elementCount(value.shape) * elementBytes(value.type) : 0
}

class Planner {
  readonly places = new Map<string, string>()
  private readonly shapes: Shapes
  private readonly outside: ReadonlySet<string>
  private readonly views = new Map<string, string>()
  /** How often values are read, those that show them included; and how often they still will be. */
  private readonly uses = new Map<string, number>()
  private readonly remaining = new Map<string, number>()
  /** Values that nothing reads any more, the last first. */
  private readonly unused: string[] = []

  constructor(order: readonly Node[], shapes: Shapes, outside: ReadonlySet<string>) {
    this.shapes = shapes
    this.outside = outside
    for (const node of order) {
      const [source = ''] = node.inputs
      if (VIEWS.has(node.op)) this.views.set(node.outputs[0] ?? '', this.shown(source))
      for (const name of valuesRead(node)) {
        this.uses.set(this.shown(name), (this.uses.get(this.shown(name)) ?? 0) + 1)
      }
    }
  }

  visit(node: Node): void {
    for (const name of node.outputs) if (name !== '' && !this.outside.has(name)) this.settle(name, node)
    const kept = new Set(node.outputs.map((name) => this.place(name)))
    for (const read of valuesRead(node)) {
      const name = this.shown(read)
      const left = (this.remaining.get(name) ?? Infinity) - 1
      this.remaining.set(name, left)
      if (left === 0 && !kept.has(this.place(name))) this.release(name)
    }
    for (const name of node.outputs) if (this.remaining.get(name) === 0) this.release(name)
  }

  /** Finds the place of an output. */
  private settle(name: string, node: Node): void {
    const view = this.views.get(name)
    if (view === undefined) this.remaining.set(name, this.uses.get(name) ?? 0)
    const other = view ?? this.operandToWriteOver(name, node) ?? this.takeUnused(name)
    if (other !== undefined) this.places.set(name, this.place(other))
  }

  private operandToWriteOver(output: string, { op, inputs }: Node): string | undefined {
    if (!IN_PLACE.has(op)) return undefined
    const operands = inputs.slice(0, 2).map((name) => this.shown(name))
    return operands.find(
      (name) => this.remaining.has(name) && this.uses.get(name) === 1 && this.sameSize(name, output),
    )
  }

  private takeUnused(name: string): string | undefined {
    const at = this.unused.findIndex((each) => this.sameSize(each, name))
    return at < 0 ? undefined : this.unused.splice(at, 1)[0]
  }

  private release(name: string): void {
    if (name !== '' && !this.outside.has(name)) this.unused.unshift(name)
  }

  private sameSize(a: string, b: string): boolean {
    const [one, other] = [this.shapes.get(a), this.shapes.get(b)]
    if (!one || !other || elementBytes(one.type) !== elementBytes(other.type)) return false
    return one.shape.join() === other.shape.join()
  }

  private shown(name: string): string {
    return this.views.get(name) ?? name
  }

  private place(name: string): string {
    return this.places.get(name) ?? name
  }
}

const ELEMENT_BYTES: Readonly<Record<string, number>> = { float64: 8, int64: 8, bool: 1 }

function elementBytes(type: string): number {
  return ELEMENT_BYTES[type] ?? 4
}
