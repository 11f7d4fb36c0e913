// Our side of bench/training, in a process of its own, which speaks as peer.py does: one line of JSON for each line
// on standard input. A step is a step of LocalTrainer.trainEpochs, everything that it does around the graph included.
//   node bench/training/worker.ts THREADS
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'

import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { compileTraining, LocalTrainer, readModel, type Samples } from '#federation/training/index.ts'

interface Order {
  file: string
  optimizer: 'SGD' | 'Adam'
  batch: number
  steps: number
}

/** Takes an epoch of steps. */
type Epoch = () => Promise<void>

const threads = Number(process.argv[2])
const { kernels } = loadKernels()
const prepared = new Map<string, Epoch>()

async function prepare({ file, optimizer, batch, steps }: Order): Promise<Epoch> {
  const compiled = await compileTraining(readModel(await readFile(file)), {
    loss: { type: 'SoftmaxCrossEntropy' },
    optimizer: { type: optimizer },
    batchSize: batch,
    threads,
  })
  const { manifest } = compiled
  const trainer = await LocalTrainer.load(compiled, { kernels })
  const parameters = new Float32Array(compiled.initialParameters.buffer)
  const samples = someSamples(steps * batch, manifest.input.shape.slice(1), manifest.label.classes ?? 1)
  return async () => {
    await trainer.trainEpochs({ parameters, samples, epochs: 1, learningRate: 0.001, seed: 1 })
  }
}

function someSamples(count: number, shape: readonly number[], classes: number): Samples {
  const size = shape.reduce((product, each) => product * each, count)
  return {
    x: Float32Array.from({ length: size }, (_, index) => Math.sin(index * 12.9898)),
    y: Int32Array.from({ length: count }, (_, index) => (index * 7) % classes),
    count,
  }
}

async function measure(order: Order): Promise<object> {
  const key = JSON.stringify([order.file, order.optimizer, order.batch])
  const epoch = prepared.get(key) ?? (await prepare(order))
  if (!prepared.has(key)) await epoch()
  prepared.set(key, epoch)
  const [wall, cpu] = [performance.now(), process.cpuUsage()]
  await epoch()
  const { user, system } = process.cpuUsage(cpu)
  return {
    cpu: (user + system) / 1e6 / order.steps,
    wall: (performance.now() - wall) / 1e3 / order.steps,
    memory: process.resourceUsage().maxRSS * 1024,
  }
}

process.stdout.write('{}\n')
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await measure(JSON.parse(line) as Order).catch((error: unknown) => ({
    error: String(error),
  }))
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
