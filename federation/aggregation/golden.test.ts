// Equality to 1e-6 with Flower's and ByzFL's own implementations, and with the papers' algorithms written down a second
// time, on the same updates. The scripts beside the files in testdata/ made them.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readStrategyConfiguration, type StrategyConfigurationInput } from './configuration.ts'
import { weiszfeld } from './geometric-median.ts'
import { referenceKernels } from './reference-kernels.ts'
import { strategyOf } from './strategies.ts'
import { drawnUpdates, Draw } from './testing/inputs.ts'
import { mergeInMemory, type Merged } from './testing/merging.ts'

interface RoundsFile {
  readonly updates: number
  readonly length: number
  readonly liars: number
  readonly learningRate: number
  readonly participants: number
  readonly cases: readonly {
    readonly configuration: StrategyConfigurationInput
    readonly seed: number
    /** Parameters after each round. */
    readonly rounds: readonly number[][]
    /** Server state after each round. */
    readonly states?: readonly number[][][]
  }[]
}

interface RobustFile {
  readonly aggregators: readonly string[]
  readonly maximumNorm: number
  /** Seed, updates, length, byzantine, results in the order of `aggregators`. */
  readonly cases: readonly (readonly [number, number, number, number, number[][]])[]
}

function golden(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8'))
}

/** The largest difference, relative to values above 1. */
function distance(got: Float32Array, want: readonly number[]): number {
  expect(got).toHaveLength(want.length)
  return Math.max(...want.map((value, i) => Math.abs(got[i]! - value) / Math.max(1, Math.abs(value))))
}

describe.each(['flower.json', 'papers.json'])('%s', (name) => {
  const file = golden(name) as RoundsFile
  const { updates: count, length, liars, learningRate, participants } = file

  it.each(file.cases)('$configuration', async ({ configuration, seed, rounds, states }) => {
    const strategy = strategyOf(readStrategyConfiguration(configuration))
    const draw = new Draw(seed)
    let last: Merged = { parameters: Float32Array.from({ length }, (_, i) => (i + 1) / 8), state: [] }
    for (const [index, want] of rounds.entries()) {
      const updates = drawnUpdates(draw, count, length * (1 + strategy.sections.length), liars)
      const context = { round: index + 1, participants, learningRate }
      const carried = index > 0 ? { state: last.state } : {}
      const shape = { strategy, updates, context, ...carried }
      last = await mergeInMemory({ ...shape, base: last.parameters, parameterCount: length })
      expect(distance(last.parameters, want)).toBeLessThan(1e-6)
      expect(last.state).toHaveLength(strategy.serverState.length)
      for (const [k, vector] of (states?.[index] ?? []).entries()) {
        expect(distance(last.state[k]!, vector)).toBeLessThan(1e-6)
      }
    }
  })
})

const robust = golden('byzfl.json') as RobustFile

/** The configuration that does what the aggregator of make_byzfl.py does with `byzantine` of `count` updates. */
const sameAs: Record<string, (byzantine: number, count: number) => StrategyConfigurationInput> = {
  Median: () => ({ type: 'Median' }),
  TrimmedMean: (byzantine) => ({ type: 'TrimmedMean', trimmed: byzantine }),
  Krum: (byzantine) => ({ type: 'Krum', byzantine }),
  MultiKrum: (byzantine, count) => ({ type: 'MultiKrum', byzantine, selected: count - byzantine - 1 }),
  GeometricMedian: () => ({ type: 'GeometricMedian', maxIterations: 8, tolerance: 0 }),
  'NormClipping, adaptive': (byzantine) => ({ type: 'NormClipping', byzantine }),
  'NormClipping, static': (byzantine) => ({
    type: 'NormClipping',
    byzantine,
    maximumNorm: robust.maximumNorm,
  }),
}

describe('byzfl.json', () => {
  it.each([...robust.aggregators.entries()])('%i: %s, in all cases', async (position, name) => {
    expect(robust.cases).toHaveLength(500)
    const wrong: string[] = []
    for (const [seed, , , byzantine, results] of robust.cases) {
      const draw = new Draw(seed)
      const count = 3 + draw.below(13)
      const length = 1 + draw.below(3)
      draw.next()
      const updates = drawnUpdates(draw, count, length, byzantine)
      const strategy = strategyOf(readStrategyConfiguration(sameAs[name]!(byzantine, count)))
      const { parameters } = await mergeInMemory({ strategy, updates })
      const difference = distance(parameters, results[position]!)
      if (!(difference < 1e-6))
        wrong.push(`seed ${seed}, ${count} updates, ${byzantine} byzantine: ${difference}`)
    }
    expect(wrong).toEqual([])
  })

  it('has the worked examples too', async () => {
    const rows = [
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
      [2, 2, 2],
      [100, -100, 0],
    ]
    const updates = rows.map((values, k) => ({ participant: `n${k}`, values }))
    const wants: [StrategyConfigurationInput, number[]][] = [
      [{ type: 'FedAvg' }, [22.8, -16.6, 4]],
      [{ type: 'Median' }, [4, 2, 3]],
      [{ type: 'TrimmedMean', trimmed: 1 }, [13 / 3, 3, 11 / 3]],
    ]
    for (const [configuration, want] of wants) {
      const { parameters } = await mergeInMemory({
        strategy: strategyOf(readStrategyConfiguration(configuration)),
        updates,
      })
      expect(distance(parameters, want)).toBeLessThan(1e-6)
    }
    const gram = new Float64Array(25)
    referenceKernels.addGram(
      gram,
      rows.map((row) => Float32Array.from(row)),
    )
    // ByzFL's defaults: three iterations, smoothed with 0.1.
    const weights = weiszfeld(gram, 5, { maxIterations: 3, tolerance: 0, smoothing: 0.1 })
    const median = [0, 1, 2].map((i) => rows.reduce((sum, row, k) => sum + weights[k]! * row[i]!, 0))
    expect(distance(Float32Array.from(median), [3.088226, 2.654824, 3.834646])).toBeLessThan(1e-6)
  })
})
