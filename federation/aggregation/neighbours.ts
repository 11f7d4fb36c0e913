// Distances between updates from their inner products, and who is near to whom: what Krum, Bulyan and nearest-neighbour
// mixing decide with. Of two that are as far, the earlier in the order of participants is the nearer. Thousands of pairs pass
// here once, before the code is compiled: sorting is left to typed arrays, which leave no garbage behind.

/** Squared distances of every two of n updates: ‖a‖² + ‖b‖² − 2·a·b, at least 0, row by row. */
export function squaredDistances(gram: Float64Array, n: number): Float64Array {
  const distances = new Float64Array(n * n)
  for (let k = 0; k < n; k++) {
    const own = gram[k * n + k] as number
    for (let l = 0; l < k; l++) {
      const distance = own + (gram[l * n + l] as number) - 2 * (gram[k * n + l] as number)
      if (!(distance > 0)) continue
      distances[k * n + l] = distance
      distances[l * n + k] = distance
    }
  }
  return distances
}

/** For each of n updates, itself and the `count` others that are nearest to it, in the order of participants. */
export function nearestGroups(distances: Float64Array, n: number, count: number): Int32Array[] {
  const sorted = new Float64Array(n)
  return Array.from({ length: n }, (_, own) => {
    const row = distances.subarray(own * n, (own + 1) * n)
    // The own distance, 0, is the first of the sorted ones.
    sorted.set(row)
    const farthest = sorted.sort()[count] as number
    return groupWithin(row, own, { count, farthest })
  })
}

function groupWithin(
  row: Float64Array,
  own: number,
  { count, farthest }: { count: number; farthest: number },
): Int32Array {
  const nearer = row.reduce((found, distance, k) => found + Number(k !== own && distance < farthest), 0)
  let atTheLimit = count - nearer
  const group = new Int32Array(count + 1)
  let size = 0
  for (const [k, distance] of row.entries()) {
    if (k === own || distance < farthest) group[size++] = k
    else if (distance === farthest && atTheLimit > 0) {
      group[size++] = k
      atTheLimit -= 1
    }
  }
  return group
}
