/*
 * Accuracy by round in the settings of McMahan et al. 2017, on the 5,000 digits that ship with the examples: our compiled
 * training and merging against PyTorch clients and Flower's FedAvg, with the same split, the same participants and the
 * same first parameters, over several seeds. The order of samples within an epoch is each side's own.
 *
 *   node bench/accuracy/main.ts [--seeds 5] [--out FILE]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { peerPython, readRequirements } from '../peers.ts'
import { type Plot, report, row, type Row } from '../rows.ts'
import { type Job, jobOf, runPeer, type Setting } from './job.ts'
import { openModel, runOurs } from './ours.ts'

const SGD = { batchSize: 10, learningRate: 0.1 }
const SETTINGS: readonly Setting[] = [
  { model: '2NN', distribution: 'IID', rounds: 60, epochs: 1, ...SGD, target: 0.85 },
  { model: '2NN', distribution: 'non-IID', rounds: 100, epochs: 1, ...SGD, target: 0.75 },
  { model: 'CNN', distribution: 'IID', rounds: 12, epochs: 5, ...SGD, target: 0.93 },
]
/** In the paper, with 60,000 digits: rounds to 97 % (2NN, E=1, B=10, C=0.1) and to 99 % (CNN, E=5, B=10, C=0.1). */
const PAPER: Readonly<Record<string, string>> = {
  '2NN IID': 'the paper, on 60,000 digits: 97 % after 87 rounds',
  '2NN non-IID': 'the paper, on 60,000 digits: 97 % after 664 rounds',
  'CNN IID': 'the paper, on 60,000 digits: 99 % after 20 rounds',
}
/** Two-sided 95 % of Student's t by degrees of freedom, 1 to 9. */
const STUDENT = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26] as const
/** Accuracy at the end is the mean of so many last rounds: one round of federated averaging jumps. */
const LAST = 5

interface Curves {
  readonly ours: readonly number[]
  readonly peer: readonly number[]
}

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '5' }, out: { type: 'string' } },
})
const seeds = Array.from({ length: Number(values.seeds) }, (_, index) => index + 1)
const python = await peerPython(await readRequirements(new URL('requirements.txt', import.meta.url)))
const rows: Row[] = []
const plots: Plot[] = []
let versions: Record<string, string> = {}
for (const setting of SETTINGS) {
  const curves: Curves[] = []
  for (const seed of seeds) curves.push(await bothSides(jobOf(setting, seed)))
  rows.push(...judged(setting, curves))
  plots.push(plotOf(setting, curves))
}
report({ rows, plots, versions })

async function bothSides(job: Job): Promise<Curves> {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-accuracy-'))
  try {
    const model = await openModel(job.setting, job.seed)
    const ours = await runOurs(model, job)
    const peer = await runPeer(job, model.parameters, { python, folder })
    await model.trainer.close()
    versions = { ...versions, ...peer.versions }
    const { model: name, distribution } = job.setting
    process.stdout.write(
      `${name} ${distribution} seed ${job.seed}: ${percent(atEnd(ours))} ours, ${percent(atEnd(peer.accuracies))} theirs\n`,
    )
    return { ours, peer: peer.accuracies }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function judged(setting: Setting, curves: readonly Curves[]): Row[] {
  const name = `${setting.model} ${setting.distribution}`
  const differences = curves.map(({ ours, peer }) => 100 * (atEnd(ours) - atEnd(peer)))
  const noise = spread(differences)
  const [ourRounds, peerRounds] = [(one: Curves) => one.ours, (one: Curves) => one.peer].map((side) =>
    mean(curves.map((one) => roundsTo(side(one), setting.target))),
  ) as [number, number]
  const [ourEnd, peerEnd] = [
    mean(curves.map((one) => atEnd(one.ours))),
    mean(curves.map((one) => atEnd(one.peer))),
  ]
  return [
    row({
      name: `accuracy after ${setting.rounds} rounds minus Flower with PyTorch, ${name}`,
      value: mean(differences),
      unit: 'points',
      goal: -noise,
      note: `${percent(ourEnd)} against ${percent(peerEnd)}, ${curves.length} seeds; the goal is the noise: the half width of the 95 % interval of the paired differences`,
    }),
    row({
      name: `rounds to ${percent(setting.target)} against Flower with PyTorch, ${name}`,
      value: ourRounds / peerRounds,
      goal: 1,
      direction: 'atMost',
      note: `${ourRounds.toFixed(1)} against ${peerRounds.toFixed(1)} rounds; ${PAPER[name] ?? ''}`,
    }),
  ]
}

function plotOf({ model, distribution, rounds }: Setting, curves: readonly Curves[]): Plot {
  const line = (name: string, side: (one: Curves) => readonly number[]) => ({
    name,
    points: Array.from({ length: rounds }, (_, round): [number, number] => [
      round + 1,
      mean(curves.map((one) => side(one)[round] ?? 0)),
    ]),
  })
  return {
    title: `${model}, ${distribution}: accuracy by round, mean of ${curves.length} seeds`,
    x: 'rounds',
    y: 'accuracy',
    lines: [line('Tributary', ({ ours }) => ours), line('Flower with PyTorch', ({ peer }) => peer)],
  }
}

/** A training that does not get there counts as one round more than it had. */
function roundsTo(accuracies: readonly number[], target: number): number {
  const found = accuracies.findIndex((accuracy) => accuracy >= target)
  return found < 0 ? accuracies.length + 1 : found + 1
}

function atEnd(accuracies: readonly number[]): number {
  return mean(accuracies.slice(-LAST))
}

/** Half the width of the 95 % confidence interval of the mean. */
function spread(samples: readonly number[]): number {
  const centre = mean(samples)
  const variance = samples.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (samples.length - 1)
  return (STUDENT[samples.length - 2] ?? 2) * Math.sqrt(variance / samples.length)
}

function mean(samples: readonly number[]): number {
  return samples.reduce((sum, value) => sum + value, 0) / samples.length
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}
