/*
 * What an initializer is, by how it is used. Where it passes through operators that only move or convert it, what
 * they feed decides: a class token that is expanded and concatenated learns, an initial state that is expanded for an
 * LSTM does not.
 *   weight    in MatMul, Gemm, Einsum and convolutions, as a table of Gather, the slope of PRelu, scale and bias of a
 *             normalisation, the weights and biases of recurrent operators; and in arithmetic, unless it is a single
 *             number without dimensions, or with several that is not the bias of a product of width 1
 *   state     BatchNormalization's running mean and variance
 *   constant  everything else: bounds, exponents, padding, masks and what they choose, initial states
 */
import type { Node } from './graph.ts'
import type { Model } from './model.ts'

export type Role = 'weight' | 'state' | 'constant'

/** Inputs that are weights whatever their shape; 'all' for every input. */
const WEIGHTS: Readonly<Record<string, readonly number[] | 'all'>> = {
  MatMul: 'all',
  Gemm: 'all',
  Einsum: 'all',
  Conv: 'all',
  ConvTranspose: 'all',
  Gather: [0],
  PRelu: [1],
  BatchNormalization: [0, 1, 2],
  InstanceNormalization: [1, 2],
  GroupNormalization: [1, 2],
  LayerNormalization: [1, 2],
  RMSNormalization: [1],
  // Weights, recurrent weights and biases; not the states that a sequence starts from.
  LSTM: [1, 2, 3],
  GRU: [1, 2, 3],
  RNN: [1, 2, 3],
}

const ARITHMETIC: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Div', 'Sum', 'Mean'])

/** Operators whose first input goes on as it is, or as a function of itself; Concat's are all such. */
const PASSING: ReadonlySet<string> = new Set(
  (
    'Abs Cast CastLike Concat Exp Expand Flatten GatherElements GatherND Identity Neg Pad Reciprocal Reshape ' +
    'ReduceL2 ReduceSum Sigmoid Slice Softmax Softplus Split Sqrt Squeeze Tanh Tile Transpose Trilu Unsqueeze'
  ).split(' '),
)

/** Finds roles in one model; knows which nodes use a value. */
export class Roles {
  private readonly users = new Map<string, { node: Node; index: number }[]>()
  private readonly makers = new Map<string, Node>()
  private readonly outputs: ReadonlySet<string>
  private readonly initializers: Model['initializers']

  constructor(model: Model) {
    this.outputs = new Set(model.outputs.map(({ name }) => name))
    this.initializers = model.initializers
    for (const node of model.nodes) {
      for (const name of node.outputs) this.makers.set(name, node)
      for (const [index, name] of node.inputs.entries()) {
        const known = this.users.get(name)
        if (known) known.push({ node, index })
        else this.users.set(name, [{ node, index }])
      }
    }
  }

  of(node: Node, index: number, shape: readonly number[]): Role {
    const weights = WEIGHTS[node.op]
    if (weights === 'all' || weights?.includes(index)) return 'weight'
    if (node.op === 'BatchNormalization') return 'state'
    if (ARITHMETIC.has(node.op)) return this.learnsInArithmetic(node, index, shape) ? 'weight' : 'constant'
    if (!PASSING.has(node.op) || (index > 0 && node.op !== 'Concat')) return 'constant'
    return shape.length > 0 && this.passedOn(node, shape) ? 'weight' : 'constant'
  }

  /**
   * Converters from TensorFlow give the numbers of a formula, such as the 3 of HardSwish, as many dimensions as what
   * they are added to; scikit-learn's give biases two.
   */
  private learnsInArithmetic({ inputs }: Node, index: number, shape: readonly number[]): boolean {
    if (shape.length < 2 || shape.some((size) => size !== 1)) return shape.length > 0
    const product = this.makers.get(inputs[1 - index] ?? '')
    return product?.op === 'MatMul' && this.initializers.get(product.inputs[1] ?? '')?.shape.at(-1) === 1
  }

  /** Whether what the node makes is a weight to any of its users. */
  private passedOn(node: Node, shape: readonly number[]): boolean {
    return node.outputs.some((name) => {
      if (this.outputs.has(name)) return true
      const users = this.users.get(name) ?? []
      return users.some((user) => this.of(user.node, user.index, shape) === 'weight')
    })
  }
}
