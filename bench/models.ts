/*
 * Models that benchmarks train, as plain ONNX files made here: dense networks, and the two of McMahan et al. 2017
 * (arXiv:1602.05629): the 2NN and the CNN with 1,663,370 parameters. Weights are drawn as torch.nn draws them for
 * Linear and Conv2d, uniform within ±1/√(inputs), in the layout of torch, so that both sides start from the same numbers.
 */
import {
  type Attributes,
  floatTensor,
  int,
  ints,
  type Node,
  type TensorValue,
} from '#federation/training/graph.ts'
import { Random } from '#federation/training/random.ts'
import { writeModel } from '#federation/training/write.ts'

const OPSET = 17

/** @param sizes inputs, hidden layers, outputs; Relu between layers */
export function denseModel(sizes: readonly number[], seed: number): Uint8Array {
  const draft = new Draft(seed)
  let value = 'x'
  for (const [index, outputs] of sizes.slice(1).entries()) {
    const inputs = sizes[index] ?? 0
    value = draft.layer('Gemm', value, { shape: [outputs, inputs], attributes: { transB: int(1) } })
    if (index < sizes.length - 2) value = draft.add('Relu', [value])
  }
  return draft.write([sizes[0] ?? 0], value)
}

/** 784-200-200-10. */
export function twoLayerNetwork(seed: number): Uint8Array {
  return denseModel([784, 200, 200, 10], seed)
}

/** Two 5×5 convolutions of 32 and 64 channels, each with Relu and 2×2 max pooling, 512 units, 10 classes. */
export function convolutionalNetwork(seed: number): Uint8Array {
  const draft = new Draft(seed)
  const block = (value: string, channels: readonly [number, number]): string => {
    const [inputs, outputs] = channels
    const attributes = { pads: ints([2, 2, 2, 2]), kernel_shape: ints([5, 5]) }
    const convolved = draft.layer('Conv', value, { shape: [outputs, inputs, 5, 5], attributes })
    const window = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }
    return draft.add('MaxPool', [draft.add('Relu', [convolved])], window)
  }
  const flat = draft.add('Flatten', [block(block('x', [1, 32]), [32, 64])])
  const hidden = draft.layer('Gemm', flat, { shape: [512, 3136], attributes: { transB: int(1) } })
  const attributes = { transB: int(1) }
  return draft.write(
    [1, 28, 28],
    draft.layer('Gemm', draft.add('Relu', [hidden]), { shape: [10, 512], attributes }),
  )
}

class Draft {
  readonly #random: Random
  readonly #nodes: Node[] = []
  readonly #initializers = new Map<string, TensorValue>()

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  add(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const output = `${op.toLowerCase()}${this.#nodes.length}`
    this.#nodes.push({ op, name: output, inputs, outputs: [output], attributes })
    return output
  }

  /** An operator with a weight of this shape (outputs first) and a bias. */
  layer(
    op: string,
    value: string,
    { shape, attributes }: { shape: number[]; attributes: Attributes },
  ): string {
    const name = `layer${this.#initializers.size / 2 + 1}`
    const bound = 1 / Math.sqrt(shape.slice(1).reduce((product, size) => product * size, 1))
    this.#initializers.set(`${name}.weight`, this.#uniform(shape, bound))
    this.#initializers.set(`${name}.bias`, this.#uniform([shape[0] ?? 0], bound))
    return this.add(op, [value, `${name}.weight`, `${name}.bias`], attributes)
  }

  write(inputShape: readonly number[], output: string): Uint8Array {
    const inputs = [{ name: 'x', type: 'float32' as const, shape: ['batch', ...inputShape] }]
    const graph = {
      inputs,
      outputs: [{ name: output }],
      initializers: this.#initializers,
      nodes: this.#nodes,
    }
    return writeModel(graph, 'benchmark', OPSET)
  }

  #uniform(shape: readonly number[], bound: number): TensorValue {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1))
    this.#random.fillUniform(values)
    return floatTensor(
      values.map((value) => (2 * value - 1) * bound),
      shape,
    )
  }
}
