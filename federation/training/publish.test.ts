import { readFileSync } from 'node:fs'

import { create, fromBinary } from '@bufbuild/protobuf'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { type GraphProto, GraphProtoSchema, ModelProtoSchema } from 'onnx-buf'
import { describe, expect, it } from 'vitest'

import { compileTraining } from './compile.ts'
import { ModelError } from './errors.ts'
import { readModel } from './model.ts'
import { publishModel } from './publish.ts'
import { LocalTrainer } from './session.ts'
import { filled, MLP, modelBytes, node, someNumbers, weight } from './testdata/models.ts'

async function trained(bytes: Uint8Array, size: number) {
  const compiled = await compileTraining(readModel(bytes), {
    loss: { type: 'SoftmaxCrossEntropy' },
    optimizer: { type: 'SGD' },
    batchSize: 8,
  })
  const count = 20
  const samples = {
    x: Float32Array.from(someNumbers(count * size)),
    y: Int32Array.from({ length: count }, (_, index) => index % (compiled.manifest.label.classes ?? 1)),
    count,
  }
  const trainer = await LocalTrainer.load(compiled)
  const parameters = new Float32Array(compiled.initialParameters.buffer)
  const result = await trainer.trainEpochs({ parameters, samples, epochs: 5, learningRate: 0.05, seed: 1 })
  const { metrics } = await trainer.evaluate({ parameters: result.parameters, samples })
  const published = publishModel(bytes, compiled.manifest, new Uint8Array(result.parameters.buffer))
  return { compiled, samples, metrics, published }
}

/** Mean cross-entropy and accuracy of a published model, computed here. */
async function judge(
  model: Uint8Array,
  samples: { x: Float32Array; y: Int32Array; count: number },
  shape: number[],
) {
  const session = await InferenceSession.create(model)
  const x = new Tensor('float32', samples.x, [samples.count, ...shape])
  const output = Object.values(await session.run({ [session.inputNames[0] ?? '']: x }))[0]
  const logits = Array.from(output?.data ?? [], Number)
  const classes = logits.length / samples.count
  let [loss, correct] = [0, 0]
  for (const [row, label] of samples.y.entries()) {
    const values = logits.slice(row * classes, (row + 1) * classes)
    loss += Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0)) - (values[label] ?? 0)
    if (values.indexOf(Math.max(...values)) === label) correct += 1
  }
  return { loss: loss / samples.count, accuracy: correct / samples.count }
}

function graphOf(bytes: Uint8Array): GraphProto {
  return fromBinary(ModelProtoSchema, bytes).graph ?? create(GraphProtoSchema)
}

describe('a published model', () => {
  it.each([
    { name: 'an MLP', file: 'mlp.onnx', shape: [6] },
    { name: 'a CNN that was exported in training mode', file: 'cnn.onnx', shape: [1, 8, 8] },
  ])('of $name infers what evaluation measured', async ({ file, shape }) => {
    const bytes = readFileSync(new URL(`testdata/${file}`, import.meta.url))
    const size = shape.reduce((product, length) => product * length, 1)
    const { published, samples, metrics } = await trained(bytes, size)
    const judged = await judge(published, samples, shape)
    expect(judged.loss).toBeCloseTo(metrics.loss ?? NaN, 5)
    expect(judged.accuracy).toBeCloseTo(metrics.accuracy ?? NaN, 9)
    expect(await judge(published, samples, shape)).toEqual(judged)
  })

  it('is in inference mode, whatever the export was', async () => {
    const bytes = readFileSync(new URL('testdata/cnn.onnx', import.meta.url))
    const { published } = await trained(bytes, 64)
    const { node: nodes } = graphOf(published)
    const [norm, dropout] = ['BatchNormalization', 'Dropout'].map((op) =>
      nodes.find(({ opType }) => opType === op),
    )
    expect(norm?.attribute.map(({ name }) => name)).toEqual(['epsilon', 'momentum'])
    expect(norm?.output.length).toBe(1)
    expect(dropout?.input.length).toBe(2)
    // The constant that switched it on is gone, the ratio is not.
    expect(nodes.filter(({ opType }) => opType === 'Constant').length).toBe(1)
  })

  it('changes nothing but initializers', async () => {
    const bytes = modelBytes(MLP)
    const { published } = await trained(bytes, 3)
    const [before, after] = [graphOf(bytes), graphOf(published)]
    expect(after.node).toEqual(before.node)
    expect(after.input).toEqual(before.input)
    const shapes = (graph: GraphProto): unknown => graph.initializer.map(({ name, dims }) => [name, dims])
    expect(shapes(after)).toEqual(shapes(before))
    expect(after.initializer).not.toEqual(before.initializer)
  })

  it('with its own parameters is the same function as before', async () => {
    const bytes = modelBytes(MLP)
    const { compiled, samples } = await trained(bytes, 3)
    const same = publishModel(bytes, compiled.manifest, compiled.initialParameters)
    expect(await judge(same, samples, [3])).toEqual(await judge(bytes, samples, [3]))
  })

  it('has an initializer for each use that was separated', async () => {
    const bytes = modelBytes({
      nodes: [
        node('Gemm', ['x', 'w1', 'zeros'], 'h'),
        node('Identity', ['zeros'], 'alias'),
        node('Gemm', ['h', 'w2', 'alias'], 'y'),
      ],
      initializers: { w1: weight(3, 3), w2: weight(3, 3), zeros: filled(0, 3) },
    })
    const { published, samples, metrics } = await trained(bytes, 3)
    const judged = await judge(published, samples, [3])
    expect(judged.loss).toBeCloseTo(metrics.loss ?? NaN, 5)
    const model = readModel(published)
    expect(model.initializers.get('zeros.0.2')).not.toEqual(model.initializers.get('zeros.2.2'))
  })

  it('can be compiled and trained again', async () => {
    const { published, metrics } = await trained(modelBytes(MLP), 3)
    const again = await trained(published, 3)
    expect(again.metrics.loss).toBeLessThan(metrics.loss ?? NaN)
  })

  it('is refused when vector or model do not fit the manifest', async () => {
    const bytes = modelBytes(MLP)
    const { compiled } = await trained(bytes, 3)
    const { manifest, initialParameters } = compiled
    expect(() => publishModel(bytes, manifest, initialParameters.subarray(4))).toThrow(
      /parameters have 100 bytes; the manifest's 26 elements need 104/,
    )
    const broken = Float32Array.from({ length: 26 }, (_, index) => (index === 5 ? NaN : 0))
    expect(() => publishModel(bytes, manifest, new Uint8Array(broken.buffer))).toThrow(/element 5 is NaN/)
    const other = modelBytes({
      ...MLP,
      initializers: { ...MLP.initializers, w1: weight(3, 5), b1: weight(5), w2: weight(5, 2) },
    })
    expect(() => publishModel(other, manifest, initialParameters)).toThrow(ModelError)
  })
})
