// Geometric median (Pillutla, Kakade and Harchaoui, "Robust Aggregation for Federated Learning", IEEE TSP 2022, Algorithm 2):
// the point with the least sum of distances to the updates, by Weiszfeld's iteration smoothed with ν = 1e-6. It starts at
// 0, that is at the present parameters, and ends when the sum falls by less than `tolerance` of itself.
// Every point of the iteration is a weighted mean of the updates, so that distances follow from their inner products and
// the updates are read twice in all. As in ByzFL, all updates count the same: a weight by samples, as in the paper,
// would give whoever claims many samples the majority.
import type { Configured } from './configuration.ts'
import { everywhere, plainRule } from './mean.ts'
import type { CombineInput, MergingRule } from './strategy.ts'

/** The least distance that an update is taken to have: ν of the paper. */
const SMOOTHING = 1e-6

export function geometricMedian(options: Configured<'GeometricMedian'>): MergingRule {
  return {
    ...plainRule,
    geometry: 'Pairs',
    combine: ({ updates, geometry }: CombineInput) => {
      const weights = weiszfeld(geometry, updates.length, { ...options, smoothing: SMOOTHING })
      return everywhere({ how: 'WeightedSum', weights, divisor: sumOf(weights) })
    },
  }
}

export interface WeiszfeldOptions {
  readonly maxIterations: number
  readonly tolerance: number
  readonly smoothing: number
}

/** Weights, of any sum, of the n updates in their geometric median. */
export function weiszfeld(gram: Float64Array, n: number, options: WeiszfeldOptions): Float64Array {
  let weights = new Float64Array(n)
  let before = Infinity
  for (let iteration = 0; iteration < options.maxIterations; iteration++) {
    const distances = distancesTo(weights, gram).map((one) => Math.max(options.smoothing, one))
    const sum = sumOf(distances)
    if (iteration > 0 && before - sum <= options.tolerance * before) break
    before = sum
    const inverse = distances.map((distance) => 1 / distance)
    const total = sumOf(inverse)
    weights = inverse.map((one) => one / total)
  }
  return weights
}

/** Distance of each update x to z = Σ w·x: ‖x‖² − 2·x·z + ‖z‖². */
function distancesTo(weights: Float64Array, gram: Float64Array): Float64Array {
  const n = weights.length
  const products = Float64Array.from({ length: n }, (_, k) => {
    let sum = 0
    for (let l = 0; l < n; l++) sum += (gram[k * n + l] as number) * (weights[l] as number)
    return sum
  })
  const squaredNorm = weights.reduce((sum, weight, k) => sum + weight * (products[k] as number), 0)
  return products.map((product, k) =>
    Math.sqrt(Math.max(0, (gram[k * n + k] as number) - 2 * product + squaredNorm)),
  )
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0)
}
