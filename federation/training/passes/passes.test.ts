/*
 * What every pass guarantees: a step computes the same with it and without it, bit by bit, for every family of the zoo.
 */
import { readdirSync, readFileSync } from 'node:fs'

import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'

import { compileTraining } from '../compile.ts'
import { readConfiguration } from '../configuration.ts'
import { discover } from '../discover.ts'
import { tensor, type Tensors } from '../feeds.ts'
import { type Graph, ints, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { UNLIMITED } from '../memory-plan.ts'
import { readModel } from '../model.ts'
import { prepare } from '../prepare.ts'
import { prune } from '../prune.ts'
import { LocalTrainer } from '../session.ts'
import { emitGradients } from '../step.ts'
import { modelBytes, node, someNumbers, weight, x } from '../testdata/models.ts'
import { COMPILED_OPSET, writeModel } from '../write.ts'

import { folded } from './folding.ts'
import { optimized, type Pass, PASSES } from './index.ts'
import { reluAfterPooling } from './relu-after-pooling.ts'

const zoo = new URL('../zoo/', import.meta.url)
const FILES = ['torch', 'tensorflow'].flatMap((folder) =>
  readdirSync(new URL(folder, zoo))
    .filter((file) => folder === 'tensorflow' || file.endsWith('-script.onnx'))
    .map((file) => `${folder}/${file}`),
)

/** A step's gradients as they were emitted, and what to feed. */
async function emitted(file: string): Promise<{ graph: Graph; feeds: Tensors }> {
  const settings = readConfiguration({
    loss: { type: 'MeanSquaredError' },
    optimizer: { type: 'SGD' },
    batchSize: 3,
  })
  const prepared = prepare(readModel(readFileSync(new URL(file, zoo))))
  const step = await emitGradients(prepared, await discover(prepared, 3), settings, UNLIMITED)
  if (!step) throw new Error('nothing was emitted')
  const outputs = [step.loss, ...step.gradients.values(), ...step.newState.values()]
  const graph = prune(
    step.builder,
    [...new Set(outputs)].map((name) => ({ name })),
  )
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, shape }, index) => {
      const sizes = shape.map(Number)
      const numbers = someNumbers(elementCount(sizes), index + 1)
      const isInteger = name === step.input.name && step.input.integers !== undefined
      const values = isInteger || name === step.sampleWeight ? numbers.map(() => 1) : numbers
      return [name, tensor(Float32Array.from(values.map((value) => Math.abs(value))), sizes)]
    }),
  )
  return { graph, feeds }
}

/** The outputs as ONNX Runtime makes them from the nodes as they are. */
async function outputsOf(graph: Graph, feeds: Tensors): Promise<Record<string, unknown>> {
  const session = await ort.InferenceSession.create(writeModel(graph, 'pass', COMPILED_OPSET), {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  const given = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]])) as Tensors
  const outputs = await session.run(given)
  await session.release()
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, value.data]))
}

describe('a step computes the same to the bit', () => {
  it.each(FILES)('%s, with each pass alone and with all', async (file) => {
    const { graph, feeds } = await emitted(file)
    const want = await outputsOf(graph, feeds)
    const passes: [string, Pass][] = [...Object.entries(PASSES), ['all', (given) => optimized(given)]]
    for (const [name, pass] of passes)
      expect([name, await outputsOf(pass(graph), feeds)]).toEqual([name, want])
    expect(['folding', await outputsOf(await folded(graph), feeds)]).toEqual(['folding', want])
  })
})

describe('Relu after pooling', () => {
  const pool = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }
  const nodes = (between: Node[], pooled: string): Node[] => [
    node('Conv', ['x', 'w'], 'c', { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) }),
    node('Relu', ['c'], 'r'),
    ...between,
    node('MaxPool', [pooled], 'p', pool),
    node('Flatten', ['p'], 'f'),
    node('Gemm', ['f', 'v'], 'y'),
  ]
  /** Something between the two keeps them in order. */
  const cases = { swapped: nodes([], 'r'), asWritten: nodes([node('Identity', ['r'], 'i')], 'i') }

  it('is swapped where nothing else reads between the two', () => {
    const order = (given: Node[]): string[] =>
      reluAfterPooling(given, new Map(), 'y').nodes.map(({ op }) => op)
    expect(order(cases.swapped)).toEqual(['Conv', 'MaxPool', 'Relu', 'Flatten', 'Gemm'])
    expect(order(cases.asWritten)).toEqual(cases.asWritten.map(({ op }) => op))
  })

  it('trains to the same bits as Relu before pooling', async () => {
    const [swapped, asWritten] = await Promise.all(
      [cases.swapped, cases.asWritten].map(async (given) => {
        const initializers = { w: weight(3, 1, 3, 3), v: weight(48, 2) }
        const bytes = modelBytes({ inputs: [x('batch', 1, 8, 8)], nodes: given, initializers })
        const compiled = await compileTraining(readModel(bytes), {
          loss: { type: 'MeanSquaredError' },
          optimizer: { type: 'SGD', momentum: 0.9 },
          batchSize: 2,
        })
        const trainer = await LocalTrainer.load(compiled)
        const samples = {
          x: Float32Array.from(someNumbers(4 * 64, 3)),
          y: Float32Array.from(someNumbers(8, 5)),
          count: 4,
        }
        const parameters = new Float32Array(compiled.initialParameters.buffer)
        const result = await trainer.trainEpochs({
          parameters,
          samples,
          epochs: 3,
          learningRate: 0.001,
          seed: 1,
        })
        await trainer.close()
        return result
      }),
    )
    expect(swapped).toEqual(asWritten)
  })
})
