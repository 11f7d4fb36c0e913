// How a vector of values is made of tensors. Codecs use it to see matrices as matrices: rows and columns of an update differ in
// size by orders of magnitude, and that is worth more than a bit a value. Both sides know the layout; it never travels.

export interface Tensor {
  readonly shape: readonly number[]
  /** Tensors of one group share a quantisation step; numbered from 0 without gaps. EXACT: never rounded nor left out. */
  readonly group: number
}

/** For running state: a variance that rounding made negative would ruin a model, and state is small. */
export const EXACT = -1

/** A tensor as the codecs see it: `rows` × `columns` values from `offset` on. One row when it is not worth being a matrix. */
export interface Matrix {
  readonly offset: number
  readonly length: number
  readonly rows: number
  readonly columns: number
  readonly group: number
}

export interface Layout {
  /** Values in all. */
  readonly length: number
  readonly matrices: readonly Matrix[]
  readonly groups: number
  /** Values of EXACT tensors. */
  readonly exactLength: number
}

/** Values that each row and column must have on average, so that knowing its size pays. */
const FEWEST_VALUES_A_SCALE = 16

/**
 * The layout of an update: the parameters in the manifest's order, then sections that a strategy adds.
 * Trained tensors share a quantisation step and each section has its own; running state is exact.
 * @param sections lengths of the sections; one as long as the trained parameters is seen as their tensors
 */
export function updateLayout(
  parameters: readonly { readonly shape: readonly number[]; readonly trainable: boolean }[],
  sections: readonly number[] = [],
): Layout {
  const tensors: Tensor[] = parameters.map(({ shape, trainable }) => ({
    shape,
    group: trainable ? 0 : EXACT,
  }))
  const trained = tensors.filter((tensor) => tensor.group === 0)
  const trainedLength = trained.reduce((sum, { shape }) => sum + count(shape), 0)
  for (const [index, length] of sections.entries()) {
    const group = index + 1
    const shapes = length === trainedLength ? trained.map(({ shape }) => shape) : [[length]]
    tensors.push(...shapes.map((shape) => ({ shape, group })))
  }
  return layoutOf(tensors)
}

/** The layout of tensors that follow one another. */
export function layoutOf(tensors: readonly Tensor[]): Layout {
  let offset = 0
  const matrices = tensors.map(({ shape, group }): Matrix => {
    const length = count(shape)
    const start = offset
    offset += length
    return { offset: start, length, group, ...matrixShape(shape, length) }
  })
  return {
    length: offset,
    matrices,
    groups: 1 + Math.max(0, ...tensors.map(({ group }) => group)),
    exactLength: matrices.reduce((sum, { group, length }) => sum + (group === EXACT ? length : 0), 0),
  }
}

/** The values of EXACT tensors, one after another. */
export function exactValues({ matrices, exactLength }: Layout, values: Float32Array): Float32Array {
  const exact = new Float32Array(exactLength)
  let at = 0
  for (const { group, offset, length } of matrices) {
    if (group !== EXACT) continue
    exact.set(values.subarray(offset, offset + length), at)
    at += length
  }
  return exact
}

/** Puts them back into a slice that begins with value `start`. */
export function restoreExact(
  { matrices }: Layout,
  exact: Float32Array,
  slice: { readonly start: number; readonly into: Float32Array },
): void {
  const { start, into } = slice
  let at = 0
  for (const { group, offset, length } of matrices) {
    if (group !== EXACT) continue
    const first = Math.max(start, offset)
    const end = Math.min(start + into.length, offset + length)
    if (first < end) into.set(exact.subarray(at + first - offset, at + end - offset), first - start)
    at += length
  }
}

function matrixShape(shape: readonly number[], length: number): { rows: number; columns: number } {
  const rows = shape.length > 1 ? (shape[0] as number) : 1
  const columns = rows === 0 ? 0 : length / rows
  const pays = length >= FEWEST_VALUES_A_SCALE * (rows + columns)
  return pays ? { rows, columns } : { rows: 1, columns: length }
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}
