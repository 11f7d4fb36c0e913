/*
 * Buffered asynchronous rounds (FedBuff) against synchronous ones with stragglers: real training and real merging of the
 * 2NN on the digits, on a simulated clock. A client's training takes log-normal time, the slowest tenth of clients
 * ten times as long; both ways keep the same number of clients busy, and merge the same number of updates at a time.
 * The product does not run asynchronous rounds yet. What is compared is the simulated time until the model first reaches the target accuracy.
 *
 *   node bench/asynchronous/main.ts [--seeds 5] [--out FILE]
 */
import { parseArgs } from 'node:util'

import { compileTraining, LocalTrainer, readModel } from '#federation/training/index.ts'

import { readDigits } from '../digits.ts'
import { twoLayerNetwork } from '../models.ts'
import { report, row } from '../rows.ts'
import { type Course, type Fleet, asynchronous, synchronous, timesOf } from './simulation.ts'

const CLIENTS = 100
const BUSY = 20
const TARGET = 0.8
/** Simulated time after which a course has failed; one unit is the median training of a client. */
const LONGEST = 2000

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '5' }, out: { type: 'string' } },
})
const seeds = Array.from({ length: Number(values.seeds) }, (_, index) => index + 1)
const synchronously: Course[] = []
const buffered: Course[] = []
for (const seed of seeds) {
  const fleet = await fleetOf(seed)
  const rule = { target: TARGET, longest: LONGEST }
  synchronously.push(await synchronous(fleet, { participants: BUSY, ...rule }))
  buffered.push(await asynchronous(fleet, { busy: BUSY, bufferSize: 10, ...rule }))
  await fleet.trainer.close()
}
const [slow, fast] = [mean(synchronously.map(timeOf)), mean(buffered.map(timeOf))]
report({
  rows: [
    row({
      name: `simulated time to ${100 * TARGET} %, FedBuff against synchronous FedAvg, ${CLIENTS} clients with stragglers`,
      value: slow / fast,
      goal: 3,
      note: `${fast.toFixed(1)} against ${slow.toFixed(1)} medians of a client's training, mean of ${seeds.length} seeds; the strategy's rule and the merging engine on a simulated clock, where, as in the paper, a fast client may be twice in a buffer`,
    }),
  ],
  plots: [
    {
      title: 'Accuracy over simulated time, seed 1',
      x: "time in medians of a client's training",
      y: 'accuracy',
      lines: [
        { name: 'synchronous FedAvg', points: pointsOf(synchronously) },
        { name: 'FedBuff', points: pointsOf(buffered) },
      ],
    },
  ],
})

async function fleetOf(seed: number): Promise<Fleet & { trainer: LocalTrainer }> {
  const compiled = await compileTraining(readModel(twoLayerNetwork(seed)), {
    loss: { type: 'SoftmaxCrossEntropy' },
    optimizer: { type: 'SGD' },
    batchSize: 10,
    evaluationBatchSize: 200,
  })
  return {
    trainer: await LocalTrainer.load(compiled),
    parameters: new Float32Array(Uint8Array.from(compiled.initialParameters).buffer),
    digits: readDigits('non-IID', CLIENTS, seed),
    times: timesOf(CLIENTS, seed),
    seed,
  }
}

function timeOf({ reachedAt }: Course): number {
  return reachedAt ?? LONGEST
}

function pointsOf(courses: readonly Course[]): [number, number][] {
  return courses[0]?.accuracies.map(({ time, accuracy }) => [time, accuracy]) ?? []
}

function mean(samples: readonly number[]): number {
  return samples.reduce((sum, value) => sum + value, 0) / samples.length
}
