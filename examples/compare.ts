/*
 * The comparison that people want of an example: every node alone, all data in one place, federated.
 *
 *   node examples/compare.ts digits [--seeds 1,2,3]
 *
 * A seed decides the common test set, which node has what, and every shuffle of the training. Exit code 1 when
 * the federated model is not above every node alone or more than one point below the pooled one, for any seed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import {
  type ArmResult,
  armsOf,
  asModel,
  type Campaign,
  openCampaign,
  readSamples,
  runArm,
} from './campaign.ts'
import { prepare as prepareDigits } from './digits/prepare.ts'
import { alignRight, percent, plot, table } from './plot.ts'
import type { PreparedData, PrepareRequest } from './prepared.ts'
import { predict, scoresOf } from './scores.ts'
import { persistence } from './traffic/persistence.ts'
import { prepare as prepareTraffic } from './traffic/prepare.ts'
import type { Samples } from '#federation/training/index.ts'

interface Example {
  readonly prepare: (request: PrepareRequest) => PreparedData
  /** Answers that need no training, by name: what a model has to beat. */
  readonly baselines: Readonly<Record<string, (test: Samples) => Int32Array>>
}

const majority = (test: Samples): Int32Array => {
  const counts = new Map<number, number>()
  for (const label of test.y) counts.set(label, (counts.get(label) ?? 0) + 1)
  const [most = 0] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? []
  return new Int32Array(test.count).fill(most)
}

const EXAMPLES: Readonly<Record<string, Example>> = {
  digits: { prepare: prepareDigits, baselines: { 'most frequent class': majority } },
  traffic: {
    prepare: prepareTraffic,
    baselines: { 'most frequent class': majority, 'as it is now': persistence },
  },
}
const NODES = ['edge-1', 'edge-2', 'edge-3', 'edge-4']
const WITHIN = 0.01

interface Line {
  readonly name: string
  readonly accuracy: number
  readonly balancedAccuracy: number
  readonly macroF1: number
}

export interface Comparison {
  readonly seed: number
  readonly results: readonly ArmResult[]
  readonly lines: readonly Line[]
}

export async function compare(example: string, seed: number, campaign: Campaign): Promise<Comparison> {
  const { prepare, baselines } = exampleNamed(example)
  const outDir = mkdtempSync(join(tmpdir(), `tributary-${example}-`))
  try {
    const data = prepare({ nodes: NODES, outDir, seed })
    const test = await readSamples(campaign, data.test.path)
    const lines: Line[] = Object.entries(baselines).map(([name, guess]) => ({
      name,
      ...scoresOf(test, guess(test)),
    }))
    const results: ArmResult[] = []
    for (const arm of await armsOf(campaign, data, seed)) {
      const result = await runArm(campaign, arm, test, seed)
      const shape = campaign.compiled.manifest.input.shape.slice(1)
      const predicted = await predict(asModel(campaign, result.parameters), test, shape)
      results.push(result)
      lines.push({ name: nameOf(arm.name), ...scoresOf(test, predicted) })
    }
    return { seed, results, lines }
  } finally {
    rmSync(outDir, { recursive: true, force: true })
  }
}

/** What falls short of the claim, in words; empty when nothing does. */
export function shortfalls({ seed, results }: Comparison): string[] {
  const last = (name: string): number =>
    results.find((result) => result.name === name)?.accuracies.at(-1) ?? NaN
  const [federated, pooled] = [last('federated'), last('pooled')]
  const tooFar = !(federated >= pooled - WITHIN)
  const notAbove = NODES.filter((node) => !(federated > last(node)))
  return [
    ...(tooFar
      ? [`seed ${seed}: federated ${percent(federated)} is not within 1 point of pooled ${percent(pooled)}`]
      : []),
    ...notAbove.map(
      (node) => `seed ${seed}: federated ${percent(federated)} is not above ${node} ${percent(last(node))}`,
    ),
  ]
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { seeds: { type: 'string', default: '1,2,3' } },
  })
  const [example = ''] = positionals
  const seeds = values.seeds.split(',').map(Number)
  exampleNamed(example)
  const campaign = await openCampaign(example)
  const { rounds, training } = campaign.spec
  print(
    `${example}: every arm trains for ${rounds} rounds of ${training.epochs} epochs; accuracy on the common test set`,
  )
  const comparisons: Comparison[] = []
  for (const seed of seeds) {
    const comparison = await compare(example, seed, campaign)
    comparisons.push(comparison)
    showComparison(comparison)
  }
  showMeans(comparisons)
  const short = comparisons.flatMap(shortfalls)
  const claim = 'federated is within 1 point of pooled and above every node alone, for each seed'
  print(short.length === 0 ? `\nShown: ${claim}.` : `\nNot shown:\n${short.join('\n')}`)
  process.exitCode = short.length === 0 ? 0 : 1
}

export function showComparison({ seed, results, lines }: Comparison): void {
  const series = results.map(({ name, accuracies }) => ({ name: nameOf(name), values: accuracies }))
  print(`\nSeed ${seed}\n\n${table(series)}\n\n${plot(series.toReversed())}\n\n${scores(lines)}`)
}

function showMeans(comparisons: readonly Comparison[]): void {
  const names = comparisons[0]?.lines.map(({ name }) => name) ?? []
  const means = names.map((name, index): Line => {
    const mean = (pick: (line: Line) => number): number =>
      comparisons.reduce((sum, { lines }) => sum + pick(lines[index] ?? NO_LINE), 0) / comparisons.length
    return {
      name,
      accuracy: mean((line) => line.accuracy),
      balancedAccuracy: mean((line) => line.balancedAccuracy),
      macroF1: mean((line) => line.macroF1),
    }
  })
  print(`\nMean over seeds ${comparisons.map(({ seed }) => seed).join(', ')}\n\n${scores(means)}`)
}

const NO_LINE: Line = { name: '', accuracy: NaN, balancedAccuracy: NaN, macroF1: NaN }

function scores(lines: readonly Line[]): string {
  return alignRight([
    ['', 'accuracy', 'balanced accuracy', 'macro F1'],
    ...lines.map((line) => [line.name, ...[line.accuracy, line.balancedAccuracy, line.macroF1].map(percent)]),
  ])
}

function nameOf(arm: string): string {
  return NODES.includes(arm) ? `${arm} alone` : arm
}

function exampleNamed(name: string): Example {
  const example = EXAMPLES[name]
  if (example) return example
  throw new RangeError(`example ${JSON.stringify(name)}: expected one of ${Object.keys(EXAMPLES).join(', ')}`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

if (import.meta.main) await main()
