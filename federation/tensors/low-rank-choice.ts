// Whether and with what rank a low-rank part is taken out of a matrix before the rest is coded: only where the bits that the rest
// then saves are more than the factors take.
import { MAXIMUM_RANK } from './container.ts'
import { EXACT, type Matrix } from './layout.ts'
import { approximate, fillProduct, type LowRank } from './low-rank.ts'

/** A matrix of rank r is only worth its factors when it has this many times more elements than they. */
const FEWEST_ELEMENTS_A_FACTOR = 24
/** What an entry of a factor takes, in bits. */
const BITS_A_FACTOR = 10

/** The low-rank part, when coding the rest saves more than the factors take. */
export function lowRankWorthwhile(
  matrix: Matrix,
  values: Float32Array,
  maximumRank: number,
): LowRank | undefined {
  const { rows, columns, length } = matrix
  const factors = rows + columns
  const rank = Math.min(maximumRank, MAXIMUM_RANK, Math.floor(length / factors / FEWEST_ELEMENTS_A_FACTOR))
  if (rows === 1 || rank === 0 || matrix.group === EXACT) return undefined
  const lowRank = approximate(matrix, values, rank)
  const [all, left] = energies(matrix, values, lowRank)
  const savedBits = left > 0 ? 0.5 * Math.log2(all / left) * length : 0
  return savedBits > rank * factors * BITS_A_FACTOR ? lowRank : undefined
}

function energies(matrix: Matrix, values: Float32Array, lowRank: LowRank): [number, number] {
  const predicted = new Float64Array(matrix.columns)
  let all = 0
  let left = 0
  for (let from = 0; from < matrix.length; from += matrix.columns) {
    fillProduct(lowRank, matrix.columns, from, predicted)
    for (let i = 0; i < predicted.length; i++) {
      const value = values[matrix.offset + from + i] as number
      all += value ** 2
      left += (value - (predicted[i] as number)) ** 2
    }
  }
  return [all, left]
}
