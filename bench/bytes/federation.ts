// A small federation in one process: six nodes with shares of 4,000 digits, trained by the compiled trainer, merged by the mean.
// What travels up may pass through a codec; everything else is the same for the same seed.
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

import { encodeWithFeedback, openUpdate } from '#federation/tensors/codec.ts'
import type { UploadCodec } from '#federation/tensors/configuration.ts'
import { type Layout, updateLayout } from '#federation/tensors/layout.ts'
import { decodeAll } from '#federation/tensors/reader.ts'
import { bytesSource } from '#federation/tensors/source.ts'
import { compileTraining, LocalTrainer, readModel, type Samples } from '#federation/training/index.ts'
import { Random } from '#federation/training/random.ts'

const DATA = new URL('../../examples/digits/data/mnist_5k.csv.gz', import.meta.url)
const PIXELS = 784
const TEST = 1000
const NODES = 6
const BATCH = 10

export interface Federation {
  readonly trainer: LocalTrainer
  readonly layout: Layout
  readonly shapes: readonly (readonly number[])[]
  readonly initial: Float32Array
}

export interface Rounds {
  readonly rounds: number
  readonly learningRate: number
  readonly seed: number
  /** Int8 and the like, with error feedback; the exact difference when absent. */
  readonly codec?: UploadCodec
}

export interface Trained {
  /** Share of the test digits that are read right, after each round. */
  readonly accuracy: number[]
  /** Of the last round: what a node sent before encoding, and the parameters before and after. */
  readonly update: Float32Array
  readonly base: Float32Array
  readonly next: Float32Array
}

export async function load(file: string): Promise<Federation> {
  const compiled = await compileTraining(readModel(readFileSync(file)), {
    loss: { type: 'SoftmaxCrossEntropy' },
    optimizer: { type: 'SGD' },
    batchSize: BATCH,
    evaluationBatchSize: 100,
  })
  const { parameters } = compiled.manifest
  return {
    trainer: await LocalTrainer.load(compiled),
    layout: updateLayout(parameters),
    shapes: parameters.map(({ shape }) => shape),
    initial: new Float32Array(Uint8Array.from(compiled.initialParameters).buffer),
  }
}

export async function train(federation: Federation, settings: Rounds): Promise<Trained> {
  const { test, nodes } = digits(settings.seed)
  const residuals: (Float32Array | undefined)[] = nodes.map(() => undefined)
  const accuracy: number[] = []
  let next = federation.initial
  let base = next
  let update = next
  for (let round = 0; round < settings.rounds; round++) {
    base = next
    const sums = new Float64Array(base.length)
    for (const [node, samples] of nodes.entries()) {
      update = await localUpdate(
        federation,
        { base, samples, seed: seedOf(settings.seed, round, node) },
        settings,
      )
      const received = await transfer(federation.layout, update, { residuals, node, round, settings })
      for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (received[i] as number)
    }
    next = base.map((value, i) => value + (sums[i] as number) / nodes.length)
    const { metrics } = await federation.trainer.evaluate({ parameters: next, samples: test })
    accuracy.push(metrics.accuracy ?? NaN)
  }
  return { accuracy, update, base, next }
}

async function localUpdate(
  { trainer }: Federation,
  { base, samples, seed }: { base: Float32Array; samples: Samples; seed: number },
  { learningRate }: Rounds,
): Promise<Float32Array> {
  const { parameters } = await trainer.trainEpochs({
    parameters: base,
    samples,
    epochs: 1,
    learningRate,
    seed,
  })
  return parameters.map((value, i) => value - (base[i] as number))
}

interface Transfer {
  /** Of every node; the sender's is replaced. */
  readonly residuals: (Float32Array | undefined)[]
  readonly node: number
  readonly round: number
  readonly settings: Rounds
}

async function transfer(
  layout: Layout,
  update: Float32Array,
  { residuals, node, round, settings }: Transfer,
): Promise<Float32Array> {
  const { codec } = settings
  if (!codec) return update
  const seed = seedOf(settings.seed + 1000, round, node)
  const { encoded, residual } = await encodeWithFeedback(update, residuals[node], { layout, codec, seed })
  residuals[node] = residual
  return decodeAll(await openUpdate(bytesSource(encoded), layout, codec))
}

function seedOf(seed: number, round: number, node: number): number {
  return (seed * 1000 + round) * 100 + node
}

/** The digits in an order drawn from the seed: the first 1,000 to test, the others dealt out to the nodes. */
function digits(seed: number): { test: Samples; nodes: Samples[] } {
  const lines = gunzipSync(readFileSync(DATA)).toString().trim().split('\n')
  const order = Uint32Array.from(lines.keys())
  new Random(seed, 5).shuffle(order)
  const samplesOf = (indices: Uint32Array): Samples => {
    const rows = Array.from(indices, (index) => (lines[index] as string).split(',').map(Number))
    return {
      x: Float32Array.from(rows.flatMap((row) => row.slice(0, PIXELS).map((grey) => grey / 255))),
      y: Int32Array.from(rows, (row) => row[PIXELS] as number),
      count: rows.length,
    }
  }
  const share = Math.floor((lines.length - TEST) / NODES)
  return {
    test: samplesOf(order.subarray(0, TEST)),
    nodes: Array.from({ length: NODES }, (_, node) =>
      samplesOf(order.subarray(TEST + node * share, TEST + (node + 1) * share)),
    ),
  }
}
