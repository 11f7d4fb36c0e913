// Distances between updates from their inner products, and who is near to whom: what Krum, Bulyan and nearest-neighbour
// mixing decide with. Of two that are as far, the earlier in the order of participants is the nearer.

/** Squared distances of every two of n updates: ‖a‖² + ‖b‖² − 2·a·b, at least 0, row by row. */
export function squaredDistances(gram: Float64Array, n: number): Float64Array {
  const distances = new Float64Array(n * n)
  for (let k = 0; k < n; k++) {
    for (let l = 0; l < n; l++) {
      const [own, other, both] = [gram[k * n + k], gram[l * n + l], gram[k * n + l]] as [
        number,
        number,
        number,
      ]
      distances[k * n + l] = Math.max(0, own + other - 2 * both)
    }
  }
  return distances
}

/** For each update, the others from the nearest to the farthest. */
export function neighbours(distances: Float64Array, n: number): Int32Array[] {
  return Array.from({ length: n }, (_, k) => {
    const row = distances.subarray(k * n, (k + 1) * n)
    const others = Array.from({ length: n }, (_, l) => l).filter((l) => l !== k)
    return Int32Array.from(others.sort((a, b) => (row[a] as number) - (row[b] as number) || a - b))
  })
}
