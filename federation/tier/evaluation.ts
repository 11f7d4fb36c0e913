// What a participant says of the merged parameters, checked before it counts: it ends up in the campaign's status,
// decides when training is good enough, and is signed into the manifest of the published version.
import { Metric } from '../training/manifest.ts'
import type { EvaluationResult } from '../wire/generated/tributary.ts'
import { MAXIMUM_METRIC, MAXIMUM_SAMPLES } from './updates/bounds.ts'

const METRICS: readonly string[] = Metric.options
const SHOWN = 64

/** What is wrong with an evaluation; undefined when nothing is. A node without held-out samples reports no metrics. */
export function evaluationProblem({ samples, metrics }: EvaluationResult): string | undefined {
  const entries = Object.entries(metrics)
  const minimum = entries.length === 0 ? 0 : 1
  if (!Number.isSafeInteger(samples) || samples < minimum || samples > MAXIMUM_SAMPLES) {
    return `the evaluation's samples are ${samples}; expected a whole number from ${minimum} to ${MAXIMUM_SAMPLES}`
  }
  const unknown = entries.find(([name]) => !METRICS.includes(name))
  if (unknown) {
    return `the evaluation's metric "${unknown[0].slice(0, SHOWN)}" is not known; expected ${METRICS.join(', ')}`
  }
  const wild = entries.find(([, value]) => !(Math.abs(value) <= MAXIMUM_METRIC))
  if (!wild) return undefined
  return `the evaluation's metric ${wild[0]} is ${wild[1]}; expected a number of at most ±${MAXIMUM_METRIC}`
}
