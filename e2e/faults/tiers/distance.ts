// How far two models are apart.

/**
 * The largest difference between two vectors of parameters, over the largest value of the first: what a rounding anywhere in them can
 * move is in proportion to the largest sums. Throws where their lengths differ; NaN where any value is.
 */
export function relativeDistance(wanted: Float32Array, found: Float32Array): number {
  if (wanted.length !== found.length)
    throw new RangeError(`${found.length} parameters, expected ${wanted.length}`)
  let largest = 0
  let distance = 0
  for (const [index, value] of wanted.entries()) {
    largest = Math.max(largest, Math.abs(value))
    distance = Math.max(distance, Math.abs(value - (found[index] ?? Number.NaN)))
  }
  return distance === 0 ? 0 : distance / largest
}
