/*
 * Convolution by Winograd's minimal filtering (Lavin and Gray, 2016, arXiv:1509.09308; matrices by Cook and Toom's
 * construction): tiles of the input and the kernel are transformed, multiplied element by element, which for all
 * channels together is one matrix product for each element of a tile, and transformed back. Tiles of 2 × 2 outputs
 * take 36 products where a kernel of 5 × 5 would take 100. The gradients are the transposed transformations of the
 * same products. Results agree with the plain sums to about 2e-6 of the largest element.
 *
 * Values lie [height, width, batch, channels]. The batch is taken in parts of which the transformed tiles fit into
 * a processor's cache.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { floatTensor, int, ints } from '../graph.ts'
import { concat, slice } from './spatial-first.ts'

export interface Filtering {
  builder: GraphBuilder
  /** [height, width] of input and output. */
  inputs: Shape
  outputs: Shape
  /** Padding before the first row and column. */
  before: Shape
  batch: number
  /** Kernel: [outputs, inputs, size, size]. */
  kernel: Shape
}

/** The last two of three axes exchanged. */
const SWAPPED = { perm: ints([0, 2, 1]) }
/** Rows and columns of outputs that a tile makes. */
const TILE = 2
const POINTS: Readonly<Record<number, readonly number[]>> = { 3: [0, 1, -1], 5: [0, 1, -1, 2, -0.5] }
const CACHE_ELEMENTS = 3 * 2 ** 18
const FEWEST_CHANNELS = 32

/** Whether the transformations cost less than the products that they save, and tiles cover the output exactly. */
export function winogradPays({ outputs, kernel }: Pick<Filtering, 'outputs' | 'kernel'>): boolean {
  const [made = 0, channels = 0, rows = 0, columns = 0] = kernel
  const fits = outputs.every((size) => size % TILE === 0 && size >= 8)
  return rows === 5 && columns === 5 && fits && Math.min(made, channels) >= FEWEST_CHANNELS
}

export class Winograd {
  private readonly filtering: Filtering
  private readonly builder: GraphBuilder
  /** Elements of a tile along one dimension. */
  private readonly size: number
  private readonly tiles: Shape
  private readonly matrices: Matrices
  private readonly samples: number[]

  constructor(filtering: Filtering) {
    const { builder, outputs, kernel, batch } = filtering
    const [made = 1, channels = 1, taps = 1] = kernel
    this.filtering = filtering
    this.builder = builder
    this.size = TILE + taps - 1
    this.tiles = outputs.map((extent) => extent / TILE)
    this.matrices = matricesFor(taps)
    const elements = product(this.tiles) * this.size ** 2 * (made + channels)
    this.samples = parts(batch, Math.max(1, Math.floor(CACHE_ELEMENTS / elements)))
  }

  /** The convolution of x with w. */
  forward(x: string, w: string): { y: string; tiles: string[]; kernel: string } {
    const kernel = this.transformedKernel(w)
    const turned = this.builder.add('Transpose', [kernel], SWAPPED)
    const tiles = this.cut(x).map((part, index) => this.transformedInput(part, index))
    const made = tiles.map((tile, index) => this.output(this.builder.add('MatMul', [tile, turned]), index))
    return { y: concat(this.builder, made, 2), tiles, kernel }
  }

  /** Gradients of x and w, given that of y and what `forward` made. */
  backward(
    dy: string,
    { tiles, kernel }: { tiles: readonly string[]; kernel: string },
  ): { x: () => string; w: () => string } {
    const { builder } = this
    const products = this.cut(dy).map((part, index) => this.gradientOfProducts(part, index))
    return {
      x: () => {
        const made = products.map((each, index) =>
          this.gradientOfInput(builder.add('MatMul', [each, kernel]), index),
        )
        return concat(builder, made, 2)
      },
      w: () => {
        const sums = products.map((each, index) =>
          builder.add('MatMul', [builder.add('Transpose', [tiles[index] ?? ''], SWAPPED), each]),
        )
        return this.gradientOfKernel(builder.sum(sums))
      },
    }
  }

  /** [outputs, inputs, taps, taps] → [size², outputs, inputs] */
  private transformedKernel(w: string): string {
    const { builder, size, matrices } = this
    const [made = 1, channels = 1, taps = 1] = this.filtering.kernel
    const kernels = builder.reshape(w, [made * channels, taps ** 2])
    const attributes = { transB: int(1) }
    const transformed = builder.add('Gemm', [this.matrix(kronecker(matrices.kernel)), kernels], attributes)
    return builder.reshape(transformed, [size ** 2, made, channels])
  }

  /** [size², inputs, outputs] → [outputs, inputs, taps, taps] */
  private gradientOfKernel(gradient: string): string {
    const { builder, size, matrices } = this
    const [made = 1, channels = 1, taps = 1] = this.filtering.kernel
    const flat = builder.reshape(gradient, [size ** 2, channels * made])
    const attributes = { transA: int(1) }
    const back = builder.add('Gemm', [flat, this.matrix(kronecker(matrices.kernel))], attributes)
    return builder.add('Transpose', [builder.reshape(back, [channels, made, taps, taps])], {
      perm: ints([1, 0, 2, 3]),
    })
  }

  /** [height, width, samples, channels] → [size², tiles · samples, channels] */
  private transformedInput(x: string, index: number): string {
    const { builder, size } = this
    const [height = 1, width = 1] = this.filtering.inputs
    const [down = 1, across = 1] = this.tiles
    const { run, rows, columns } = this.inputs(index)
    const tall = builder.add('MatMul', [this.matrix(rows), builder.reshape(x, [height, width * run])])
    const both = builder.add('MatMul', [
      this.matrix(columns),
      builder.reshape(tall, [size * down, width, run]),
    ])
    const split = builder.reshape(both, [size, down, size, across * run])
    const tiles = builder.add('Transpose', [split], { perm: ints([0, 2, 1, 3]) })
    return builder.reshape(tiles, [size ** 2, down * across * this.count(index), this.channels])
  }

  private gradientOfInput(gradient: string, index: number): string {
    const { builder, size } = this
    const [height = 1, width = 1] = this.filtering.inputs
    const [down = 1, across = 1] = this.tiles
    const { run, rows, columns } = this.inputs(index)
    const split = builder.reshape(gradient, [size, size, down, across * run])
    const turned = builder.add('Transpose', [split], { perm: ints([0, 2, 1, 3]) })
    const both = builder.reshape(turned, [size * down, size * across, run])
    const tall = builder.add('MatMul', [this.matrix(transposed(columns)), both])
    const flat = builder.reshape(tall, [size * down, width * run])
    const x = builder.add('MatMul', [this.matrix(transposed(rows)), flat])
    return builder.reshape(x, [height, width, this.count(index), this.channels])
  }

  /** [size², tiles · samples, outputs] → [height, width, samples, outputs] */
  private output(products: string, index: number): string {
    const { builder, size } = this
    const [height = 1, width = 1] = this.filtering.outputs
    const [down = 1, across = 1] = this.tiles
    const run = this.count(index) * this.made
    const flat = builder.reshape(products, [size ** 2, down * across * run])
    const made = builder.add('MatMul', [this.matrix(transposed(kronecker(this.matrices.output))), flat])
    const split = builder.reshape(made, [TILE, TILE, down, across, run])
    const y = builder.add('Transpose', [split], { perm: ints([2, 0, 3, 1, 4]) })
    return builder.reshape(y, [height, width, this.count(index), this.made])
  }

  private gradientOfProducts(dy: string, index: number): string {
    const { builder, size } = this
    const [down = 1, across = 1] = this.tiles
    const run = this.count(index) * this.made
    const split = builder.reshape(dy, [down, TILE, across, TILE, run])
    const turned = builder.add('Transpose', [split], { perm: ints([1, 3, 0, 2, 4]) })
    const flat = builder.reshape(turned, [TILE ** 2, down * across * run])
    const products = builder.add('MatMul', [this.matrix(kronecker(this.matrices.output)), flat])
    return builder.reshape(products, [size ** 2, down * across * this.count(index), this.made])
  }

  /** The parts of the batch. */
  private cut(value: string): string[] {
    if (this.samples.length === 1) return [value]
    let start = 0
    return this.samples.map((count) => {
      const bounds = { starts: [start], ends: [start + count], axes: [2], steps: [1] }
      start += count
      return slice(this.builder, value, bounds)
    })
  }

  private inputs(index: number): { run: number; rows: Matrix; columns: Matrix } {
    const { inputs, before } = this.filtering
    const [rows = [], columns = []] = inputs.map((extent, axis) =>
      tileMatrix(this.matrices.input, { extent, before: before[axis] ?? 0, tiles: this.tiles[axis] ?? 1 }),
    )
    return { run: this.count(index) * this.channels, rows, columns }
  }

  private count(index: number): number {
    return this.samples[index] ?? 0
  }

  private get made(): number {
    return this.filtering.kernel[0] ?? 1
  }

  private get channels(): number {
    return this.filtering.kernel[1] ?? 1
  }

  private matrix(rows: Matrix): string {
    return this.builder.constant(floatTensor(rows.flat(), [rows.length, rows[0]?.length ?? 0]))
  }
}

type Matrix = readonly (readonly number[])[]

interface Matrices {
  /** [size, size], [size, taps] and [size, TILE]: what turns input, kernel and an output's gradient into a tile. */
  input: Matrix
  kernel: Matrix
  output: Matrix
}

function matricesFor(taps: number): Matrices {
  const points = POINTS[taps] ?? []
  const others = points.map((point) => points.filter((other) => other !== point))
  const powers = (point: number, count: number): number[] =>
    Array.from({ length: count }, (_, power) => point ** power)
  const last = (count: number): number[] =>
    Array.from({ length: count }, (_, index) => (index === count - 1 ? 1 : 0))
  const scale = points.map((point, index) =>
    (others[index] ?? []).reduce((total, other) => total * (point - other), 1),
  )
  return {
    input: [...others.map((roots) => [...withRoots(roots), 0]), withRoots(points)],
    kernel: [
      ...points.map((point, index) => powers(point, taps).map((each) => each / (scale[index] ?? 1))),
      last(taps),
    ],
    output: [...points.map((point) => powers(point, TILE)), last(TILE)],
  }
}

/** Coefficients, from the constant on, of the polynomial with these roots and a leading 1. */
function withRoots(roots: readonly number[]): number[] {
  return roots.reduce(
    (polynomial, root) =>
      Array.from(
        { length: polynomial.length + 1 },
        (_, power) => (polynomial[power - 1] ?? 0) - root * (polynomial[power] ?? 0),
      ),
    [1],
  )
}

/** [size · tiles, extent]: every tile's transformation along one dimension; what lies in the padding is left out. */
function tileMatrix(
  input: Matrix,
  { extent, before, tiles }: { extent: number; before: number; tiles: number },
): Matrix {
  return input.flatMap((row) =>
    Array.from({ length: tiles }, (_, tile) =>
      Array.from({ length: extent }, (_, position) => row[position + before - tile * TILE] ?? 0),
    ),
  )
}

function transposed(matrix: Matrix): Matrix {
  return (matrix[0] ?? []).map((_, column) => matrix.map((row) => row[column] ?? 0))
}

/** The matrix applied along rows and columns of a tile at once. */
function kronecker(matrix: Matrix): Matrix {
  return matrix.flatMap((a) => matrix.map((b) => a.flatMap((x) => b.map((y) => x * y))))
}

/** Parts of nearly equal size, none above the limit. */
function parts(total: number, limit: number): number[] {
  const count = Math.ceil(total / limit)
  return Array.from({ length: count }, (_, index) => {
    return Math.floor(((index + 1) * total) / count) - Math.floor((index * total) / count)
  })
}

function product(values: Shape): number {
  return values.reduce((total, value) => total * value, 1)
}
