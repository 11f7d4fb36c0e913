// How large the elements of each matrix are expected to be: a level for each row and each column, in quarter octaves, whose sum is
// the expected magnitude. Gradients are sums of outer products, so rows and columns explain most of an element's size.
import { ByteReader, ByteWriter } from './cursor.ts'
import { clampClass, UNIT_CLASS, ZERO_CLASS } from './integers.ts'
import type { Layout, Matrix } from './layout.ts'

/** Marks a row or column in which everything is exactly 0. */
const ZERO_LEVEL = -128
const LEVELS_AN_OCTAVE = 4

interface Levels {
  readonly rows: Int8Array
  readonly columns: Int8Array
}

/** The levels of a whole layout. */
export class Magnitudes {
  readonly #levels: readonly Levels[]

  private constructor(levels: readonly Levels[]) {
    this.#levels = levels
  }

  /**
   * @param values elements whose magnitudes are wanted
   * @param isZero says of an element whether it may be left out when its whole row or column may be
   */
  static of(
    layout: Layout,
    values: ArrayLike<number>,
    isZero: (index: number, matrix: Matrix) => boolean,
  ): Magnitudes {
    return new Magnitudes(layout.matrices.map((matrix) => levelsOf(matrix, values, isZero)))
  }

  static read(reader: ByteReader, layout: Layout): Magnitudes {
    const levels = (length: number): Int8Array =>
      Int8Array.from(reader.bytes(length), (byte) => (byte << 24) >> 24)
    return new Magnitudes(
      layout.matrices.map(({ rows, columns }) => ({
        rows: levels(rows),
        columns: levels(rows > 1 ? columns : 0),
      })),
    )
  }

  write(writer: ByteWriter): void {
    for (const { rows, columns } of this.#levels) {
      writer.bytes(new Uint8Array(rows.buffer)).bytes(new Uint8Array(columns.buffer))
    }
  }

  /**
   * The class of each integer of a slice.
   * @param unit octaves of what the integer 1 stands for at the given element; 0 where magnitudes were of the integers themselves
   */
  classes(matrix: Matrix, index: number, range: Range, unit?: Int16Array): void {
    const { rows, columns } = this.#levels[index] as Levels
    const { from, into } = range
    let row = Math.floor(from / matrix.columns)
    let column = from - row * matrix.columns
    for (let i = 0; i < into.length; i++) {
      const rowLevel = rows[row] as number
      const columnLevel = columns.length === 0 ? 0 : (columns[column] as number)
      const octaves = unit === undefined ? 0 : (unit[i] as number)
      into[i] =
        rowLevel === ZERO_LEVEL || columnLevel === ZERO_LEVEL
          ? ZERO_CLASS
          : clampClass(((rowLevel + columnLevel) >> 1) - 2 * octaves + UNIT_CLASS)
      if (++column === matrix.columns) {
        column = 0
        row++
      }
    }
  }
}

/** Elements of a matrix, from its `from`-th on, as many as `into` has. */
export interface Range {
  readonly from: number
  readonly into: Uint8Array
}

/** Bytes that `write` takes for the layout. */
export function magnitudesSize({ matrices }: Layout): number {
  return matrices.reduce((sum, { rows, columns }) => sum + rows + (rows > 1 ? columns : 0), 0)
}

function levelsOf(
  matrix: Matrix,
  values: ArrayLike<number>,
  isZero: (index: number, matrix: Matrix) => boolean,
): Levels {
  const { rows, columns, offset } = matrix
  const rowSums = new Float64Array(rows)
  const columnSums = new Float64Array(columns)
  const rowIsZero = new Uint8Array(rows).fill(1)
  const columnIsZero = new Uint8Array(columns).fill(1)
  for (let row = 0, i = offset; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      const size = Math.abs(values[i] as number)
      rowSums[row] = (rowSums[row] as number) + size
      columnSums[column] = (columnSums[column] as number) + size
      if (isZero(i, matrix)) continue
      rowIsZero[row] = 0
      columnIsZero[column] = 0
    }
  }
  const mean = rowSums.reduce((sum, value) => sum + value, 0) / matrix.length
  const square = rows > 1 ? Math.sqrt(mean) : 1
  return {
    rows: rowSums.map((sum) => sum / columns / square).reduce(levels(rowIsZero), new Int8Array(rows)),
    columns:
      rows > 1
        ? columnSums.map((sum) => sum / rows / square).reduce(levels(columnIsZero), new Int8Array(columns))
        : new Int8Array(0),
  }
}

function levels(isZero: Uint8Array): (into: Int8Array, mean: number, index: number) => Int8Array {
  return (into, mean, index) => {
    const level = mean > 0 ? Math.round(LEVELS_AN_OCTAVE * Math.log2(mean)) : -127
    into[index] = isZero[index] === 1 ? ZERO_LEVEL : Math.max(-127, Math.min(127, level))
    return into
  }
}
