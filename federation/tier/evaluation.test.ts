import { describe, expect, it } from 'vitest'
import { evaluationProblem } from './evaluation.ts'
import { meanMetrics } from './rounds/report.ts'

const good = { round: 1, parametersDigest: '', samples: 10, metrics: { loss: 0.5, accuracy: 1 } }

describe('an evaluation', () => {
  it.each([
    { name: 'the metrics of classification', change: {} },
    {
      name: 'the metrics of regression',
      change: { metrics: { meanAbsoluteError: 0, meanSquaredError: 1e12 } },
    },
    { name: 'the most samples', change: { samples: 1e9 } },
    { name: 'no held-out samples, and so no metrics', change: { samples: 0, metrics: {} } },
  ])('counts with $name', ({ change }) => {
    expect(evaluationProblem({ ...good, ...change })).toBeUndefined()
  })

  it.each([
    { said: 'metric "f1" is not known; expected loss, accuracy', change: { metrics: { f1: 1 } } },
    { said: 'metric "constructor" is not known', change: { metrics: { constructor: 1 } as never } },
    { said: 'metric loss is NaN', change: { metrics: { loss: Number.NaN } } },
    { said: 'metric loss is -Infinity', change: { metrics: { loss: -Infinity } } },
    { said: 'metric loss is 1e+308; expected a number of at most', change: { metrics: { loss: 1e308 } } },
    { said: 'metric accuracy is -1000000000001', change: { metrics: { accuracy: -1_000_000_000_001 } } },
    { said: 'samples are 0; expected a whole number from 1', change: { samples: 0 } },
    { said: 'samples are 1000000001', change: { samples: 1_000_000_001 } },
  ])('is refused, saying: $said', ({ said, change }) => {
    expect(evaluationProblem({ ...good, ...change })).toContain(said)
  })
})

describe('the mean of metrics', () => {
  it('stays finite for the largest values of a large fleet', () => {
    const evaluations = Array.from({ length: 20_000 }, (_, i) => {
      return { participant: String(i), samples: 1e9, metrics: { loss: 1e12 } }
    })
    expect(meanMetrics(evaluations)['loss']).toBeCloseTo(1e12, -2)
  })

  it('leaves out what is not finite, as records of an older hub may be', () => {
    const evaluations = ['a', 'b'].map((participant) => {
      return { participant, samples: 10, metrics: { loss: 1e308, accuracy: 1 } }
    })
    expect(meanMetrics(evaluations)).toEqual({ accuracy: 1 })
  })
})
