/*
 * The model's inputs, and how samples feed them. A sample is one row of numbers, whatever the model takes: several
 * inputs lie side by side in the graph's order, and integers and truth values travel as whole float32 numbers that the
 * compiled graph converts. So nothing outside the graph differs between a matrix of features and a sequence of tokens.
 */
import type { GraphBuilder, Shape } from './builder.ts'
import { type ElementType, int, type Node, quoted, type TensorData, type ValueInfo } from './graph.ts'
import { elementCount, type TrainingManifest } from './manifest.ts'
import type { Model } from './model.ts'
import { dataTypeOf } from './tensor-proto.ts'

type InputDescription = TrainingManifest['input']
type IntegerRange = NonNullable<InputDescription['integers']>[number]

/** Largest whole number up to which float32 holds every one. */
const LARGEST_INTEGER = 2 ** 24

/** What keeps inputs from being fed: all have the batch first, and every other size fixed. A sentence each. */
export function inputProblems({ inputs }: Model): string[] {
  const [first] = inputs
  if (!first) return ['the model has no input; expected one or more, batch first']
  const batch = first.shape[0]
  const others = inputs.filter(
    ({ shape: [size] }) => typeof size !== typeof batch || (typeof size === 'number' && size !== batch),
  )
  return [
    ...inputs.slice(0, 10).flatMap(problemsOfInput),
    ...others.slice(0, 10).map(({ name, shape }) => {
      return `inputs ${quoted(first.name)} and ${quoted(name)} have first dimensions of ${text(batch)} and ${text(shape[0])}; both must be the batch`
    }),
  ]
}

const FED: readonly ElementType[] = ['float32', 'int64', 'int32', 'bool']

function problemsOfInput({ name, type, shape }: ValueInfo): string[] {
  const problems = FED.includes(type)
    ? []
    : [`input ${quoted(name)} is ${type}; supported are ${FED.join(', ')}`]
  if (shape.length === 0) {
    problems.push(`input ${quoted(name)} has no dimensions; the first one must be the batch`)
  }
  for (const [axis, size] of shape.entries()) {
    if (typeof size === 'number' ? size >= 1 : axis === 0) continue
    problems.push(
      `input ${quoted(name)}: dimension ${axis} is ${text(size)}; it must be a fixed size of 1 or more` +
        (axis === 0 ? ', or dynamic' : ' (only the first, the batch, may be dynamic)'),
    )
  }
  return problems
}

function text(size: number | string | undefined): string {
  return typeof size === 'string' ? quoted(size) : String(size)
}

/** Adds the graph's one input for samples, and from it every input of the model under its own name. */
export function emitInputs(
  builder: GraphBuilder,
  inputs: readonly ValueInfo[],
  nodes: readonly Node[],
): InputDescription {
  const [only] = inputs
  if (inputs.length === 1 && only?.type === 'float32') {
    const shape = [...builder.shape(only.name)]
    builder.declareInput({ name: only.name, type: 'float32', shape })
    return { name: only.name, shape, type: 'float32' }
  }
  const shape = samplesShape(inputs.map(({ name }) => builder.shape(name)))
  const name = builder.input('samples', shape)
  const integers: IntegerRange[] = []
  let first = 0
  for (const input of inputs) {
    const count = elementCount(builder.shape(input.name).slice(1))
    const numbers = inputs.length === 1 ? name : columns(builder, name, [first, first + count])
    append(builder, input, numbers)
    if (input.type !== 'float32') integers.push({ first, count, ...limits(input, nodes, builder) })
    first += count
  }
  return { name, shape, type: 'float32', ...(integers.length > 0 && { integers }) }
}

/** A single input keeps its shape, several become [batch, elements of all]. */
function samplesShape(shapes: readonly Shape[]): number[] {
  const [first = []] = shapes
  if (shapes.length === 1) return [...first]
  const total = shapes.reduce((sum, shape) => sum + elementCount(shape.slice(1)), 0)
  return [first[0] ?? 1, total]
}

function columns(builder: GraphBuilder, samples: string, [start, end]: [number, number]): string {
  return builder.add('Slice', [samples, ...[start, end, 1].map((value) => builder.int64([value]))])
}

/** The model's input from its numbers: in its own shape, type and name. */
function append(builder: GraphBuilder, { name, type }: ValueInfo, numbers: string): void {
  const shaped = builder.reshape(numbers, builder.shape(name))
  builder.append({
    op: 'Cast',
    name,
    inputs: [shaped],
    outputs: [name],
    attributes: { to: int(dataTypeOf(type)) },
  })
}

/** What the values may be. Indices into a table are known to fit it. */
function limits(
  { name, type }: ValueInfo,
  nodes: readonly Node[],
  builder: GraphBuilder,
): Pick<IntegerRange, 'minimum' | 'maximum'> {
  if (type === 'bool') return { minimum: 0, maximum: 1 }
  const tables = nodes.filter(({ op, inputs }) => op === 'Gather' && inputs[1] === name)
  const sizes = tables.map((node) => {
    const table = builder.shape(node.inputs[0] ?? '')
    const axis = node.attributes['axis']
    return table.at(axis?.kind === 'int' ? axis.value : 0) ?? LARGEST_INTEGER
  })
  const size = Math.min(LARGEST_INTEGER, ...sizes)
  return { minimum: -size, maximum: sizes.length > 0 ? size - 1 : size }
}

/** Zeros of an element type, as ONNX Runtime takes them. */
export function zerosOf(type: ElementType, count: number): TensorData {
  if (type === 'float32') return new Float32Array(count)
  if (type === 'float64') return new Float64Array(count)
  if (type === 'int64') return new BigInt64Array(count)
  return type === 'int32' ? new Int32Array(count) : new Uint8Array(count)
}
