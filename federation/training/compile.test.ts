import { InferenceSession } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'

import { assertTrainable, compileTraining } from './compile.ts'
import type { TrainingConfigurationInput } from './configuration.ts'
import { ModelError } from './errors.ts'
import { floatTensor, int, int64Tensor, ints } from './graph.ts'
import { readManifest } from './manifest.ts'
import { readModel } from './model.ts'
import { SUPPORTED_OPERATORS } from './operators/index.ts'
import { findProblems } from './prepare.ts'
import { LocalTrainer } from './session.ts'
import { filled, MLP, modelBytes, type ModelParts, node, weight, x } from './testdata/models.ts'

const SGD: TrainingConfigurationInput = {
  loss: { type: 'MeanSquaredError' },
  optimizer: { type: 'SGD' },
  batchSize: 4,
}

function compiled(parts: ModelParts, configuration: Partial<TrainingConfigurationInput> = {}) {
  return compileTraining(readModel(modelBytes(parts)), { ...SGD, ...configuration })
}

/** Parameters by name: what learns, and what is state. */
async function parametersOf(parts: ModelParts, configuration: Partial<TrainingConfigurationInput> = {}) {
  const { manifest } = await compiled(parts, configuration)
  return Object.fromEntries(manifest.parameters.map(({ name, trainable }) => [name, trainable]))
}

describe('a compiled model', () => {
  it('describes itself in a manifest that survives JSON', async () => {
    const { manifest, initialParameters } = await compiled(MLP, { optimizer: { type: 'Adam' } })
    expect(readManifest(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest)
    expect(manifest).toMatchObject({
      input: { name: 'x', shape: [4, 3], type: 'float32' },
      label: { shape: [4, 2], type: 'float32' },
      parameterCount: 26,
      trainableCount: 26,
      metrics: ['loss', 'meanAbsoluteError', 'meanSquaredError'],
    })
    expect(manifest.parameters.map(({ name, offset }) => [name, offset])).toEqual([
      ['w1', 0],
      ['b1', 12],
      ['w2', 16],
      ['b2', 24],
    ])
    expect(manifest.state.length).toBe(8)
    expect(new Float32Array(initialParameters.buffer).subarray(0, 12)).toEqual(weight(3, 4).data)
  })

  it('is the same bytes each time', async () => {
    const [first, second] = [await compiled(MLP), await compiled(MLP)]
    expect(first).toEqual(second)
  })

  it('has the inputs and outputs that its manifest names, and standard operators only', async () => {
    const { manifest, trainingStep, evaluation } = await compiled(MLP, { evaluationBatchSize: 9 })
    const single = await compiled(MLP, { stepsPerCall: 1 })
    const step = await InferenceSession.create(trainingStep)
    expect([...step.inputNames].sort()).toEqual(
      ['x', 'label', 'rows', 'steps', 'sample_weight', 'learning_rate', 'w1', 'b1', 'w2', 'b2'].sort(),
    )
    expect(step.outputNames).toEqual([
      manifest.training.loss,
      ...manifest.parameters.map(({ output }) => output),
    ])
    expect(manifest).toMatchObject({ rows: 'rows', steps: 'steps', stepsPerCall: 64 })
    const sums = await InferenceSession.create(evaluation)
    expect(sums.inputMetadata.find(({ name }) => name === 'x')).toMatchObject({ shape: [9, 3] })
    expect(sums.outputNames).toEqual(Object.values(manifest.evaluation))
    for (const bytes of [single.trainingStep, evaluation]) {
      // Only the default domain: the reader refuses any other, and control flow, in which several steps are wrapped.
      expect(() => readModel(bytes)).not.toThrow()
    }
  })

  it('folds what an exporter computes from shapes', async () => {
    const { manifest } = await compiled({
      inputs: [x('batch', 2, 3)],
      nodes: [
        node('Shape', ['x'], 'shape'),
        node('Gather', ['shape', 'zero'], 'batch', { axis: int(0) }),
        node('Unsqueeze', ['batch', 'axes'], 'batches'),
        node('Concat', ['batches', 'rest'], 'target', { axis: int(0) }),
        node('Reshape', ['x', 'target'], 'flat'),
        node('MatMul', ['flat', 'w'], 'y'),
      ],
      initializers: {
        zero: int64Tensor([0], []),
        axes: int64Tensor([0]),
        rest: int64Tensor([-1]),
        w: weight(6, 2),
      },
    })
    expect(manifest.input.shape).toEqual([4, 2, 3])
    expect(manifest.label.shape).toEqual([4, 2])
  })

  it('folds a constant that only takes its type from what varies', async () => {
    const { manifest } = await compiled({
      nodes: [
        node('MatMul', ['x', 'w'], 'h'),
        node('CastLike', ['six', 'h'], 'high'),
        node('Clip', ['h', 'low', 'high'], 'y'),
      ],
      initializers: { w: weight(3, 2), low: floatTensor([0], []), six: int64Tensor([6], []) },
    })
    expect(manifest.parameters.map(({ name }) => name)).toEqual(['w'])
  })

  it('takes a model that was exported for one batch size', async () => {
    const { manifest } = await compiled({
      inputs: [x(1, 2, 3)],
      nodes: [node('Reshape', ['x', 'target'], 'flat'), node('MatMul', ['flat', 'w'], 'y')],
      initializers: { target: int64Tensor([1, -1]), w: weight(6, 2) },
    })
    expect(manifest.label.shape).toEqual([4, 2])
  })
})

describe('what learns', () => {
  it('is weights, while running statistics are state and the rest is constant', async () => {
    const parts: ModelParts = {
      nodes: [
        node('MatMul', ['x', 'w'], 'h'),
        node('BatchNormalization', ['h', 'scale', 'bias', 'mean', 'variance'], 'n'),
        node('Clip', ['n', 'low', 'high'], 'c'),
        node('Mul', ['c', 'half'], 'm'),
        node('Add', ['m', 'b'], 'y'),
      ],
      initializers: {
        mean: weight(2),
        variance: filled(1, 2),
        w: weight(3, 2),
        scale: floatTensor([1, 2], [2]),
        bias: floatTensor([3, 4], [2]),
        low: floatTensor([0], []),
        high: floatTensor([6], []),
        half: floatTensor([0.5], []),
        b: weight(2),
      },
    }
    expect(await parametersOf(parts)).toEqual({
      w: true,
      scale: true,
      bias: true,
      b: true,
      mean: false,
      variance: false,
    })
  })

  it('leaves out what is frozen', async () => {
    expect(await parametersOf(MLP, { frozen: ['w1', '*2'] })).toEqual({ b1: true })
    await expect(parametersOf(MLP, { frozen: ['w3'] })).rejects.toThrow(/frozen: "w3" matches no initializer/)
  })

  it('separates initializers that an exporter merged because they start out equal', async () => {
    const parts: ModelParts = {
      nodes: [
        node('Gemm', ['x', 'w1', 'zeros'], 'h'),
        node('Identity', ['zeros'], 'alias'),
        node('Gemm', ['h', 'w2', 'alias'], 'y'),
      ],
      initializers: { w1: weight(3, 3), w2: weight(3, 3), zeros: filled(0, 3) },
    }
    expect(await parametersOf(parts)).toEqual({ w1: true, w2: true, 'zeros.0.2': true, 'zeros.2.2': true })
  })

  it('leaves running statistics as they are when these are frozen', async () => {
    const parts: ModelParts = {
      nodes: [
        node('MatMul', ['x', 'w'], 'h'),
        node('BatchNormalization', ['h', 'scale', 'bias', 'mean', 'variance'], 'y'),
      ],
      initializers: {
        w: weight(3, 2),
        scale: floatTensor([1, 2], [2]),
        bias: floatTensor([3, 4], [2]),
        mean: weight(2),
        variance: floatTensor([1, 2], [2]),
      },
    }
    expect(await parametersOf(parts, { frozen: ['mean', 'variance'] })).toEqual({
      w: true,
      scale: true,
      bias: true,
    })
    await expect(parametersOf(parts, { frozen: ['mean'] })).rejects.toThrow(
      /BatchNormalization "y" \(output "y"\): freeze both its mean and its variance, or neither/,
    )
  })

  it('follows values through operators that only move them', async () => {
    const parts: ModelParts = {
      nodes: [
        node('Unsqueeze', ['token', 'first'], 't'),
        node('Expand', ['t', 'batch'], 'tokens'),
        node('Concat', ['tokens', 'x'], 'all', { axis: int(1) }),
        node('MatMul', ['all', 'w'], 'h'),
        node('Unsqueeze', ['bound', 'first'], 'low'),
        node('Max', ['h', 'low'], 'm'),
        node('Where', ['mask', 'm', 'fill'], 'y'),
      ],
      initializers: {
        token: weight(2),
        first: int64Tensor([0]),
        batch: int64Tensor([4, 2]),
        w: weight(5, 2),
        bound: weight(2),
        mask: { type: 'bool', shape: [1, 2], data: Uint8Array.of(0, 1) },
        fill: weight(1, 2),
      },
    }
    expect(await parametersOf(parts)).toEqual({ token: true, w: true })
  })

  it('does not take the numbers of a formula, masks and initial states for weights', async () => {
    const parts: ModelParts = {
      nodes: [
        node('Expand', ['zero', 'size'], 'initial'),
        node('MatMul', ['initial', 'w'], 'p'),
        node('MatMul', ['x', 'w'], 'q'),
        node('Add', ['p', 'q'], 'h'),
        node('Add', ['h', 'three'], 'c'),
        node('Add', ['c', 'mask'], 'm'),
        node('Softmax', ['m'], 's'),
        node('MatMul', ['s', 'narrow'], 'n'),
        node('Add', ['n', 'bias'], 'y'),
      ],
      initializers: {
        zero: floatTensor([0], []),
        size: int64Tensor([4, 3]),
        w: weight(3, 3),
        three: floatTensor([3], [1, 1]),
        mask: floatTensor([0, -Infinity, 0], [1, 3]),
        narrow: weight(3, 1),
        bias: floatTensor([0.5], [1, 1]),
      },
    }
    expect(await parametersOf(parts)).toEqual({ w: true, narrow: true, bias: true })
  })

  it('keeps together a weight that is used twice', async () => {
    const parts: ModelParts = {
      nodes: [node('MatMul', ['x', 'w'], 'h'), node('MatMul', ['h', 'w'], 'y')],
      initializers: { w: weight(3, 3) },
    }
    expect(await parametersOf(parts)).toEqual({ w: true })
  })
})

describe('a model that cannot be trained is refused', () => {
  it('by the names of all operators without a gradient, with those that have one', () => {
    const model = readModel(
      modelBytes({
        nodes: [node('MatMul', ['x', 'w'], 'h'), node('Det', ['h'], 'e'), node('NonZero', ['e'], 'y')],
        initializers: { w: weight(3, 3) },
      }),
    )
    expect(() => assertTrainable(model)).toThrow(ModelError)
    expect(() => assertTrainable(model)).toThrow(
      `operators without a gradient: "Det", "NonZero"; supported are ${SUPPORTED_OPERATORS.join(', ')}`,
    )
  })

  it('by everything that is in the way, at once', () => {
    const parts: ModelParts = {
      inputs: [
        { ...x('batch', 'length'), type: 'float64' },
        { ...x(3), name: 'second' },
      ],
      nodes: [node('NonZero', ['x'], 'h'), node('Add', ['h', 'second'], 'y')],
    }
    expect(findProblems(readModel(modelBytes(parts)))).toEqual([
      'input "x" is float64; supported are float32, int64, int32, bool',
      expect.stringMatching(/^input "x": dimension 1 is "length"; it must be a fixed size/),
      'inputs "x" and "second" have first dimensions of "batch" and 3; both must be the batch',
      expect.stringMatching(/^operators without a gradient: "NonZero"/),
      expect.stringMatching(/^the model has no parameter to train/),
    ])
    expect(findProblems(readModel(modelBytes(MLP)))).toEqual([])
  })

  const refused: { name: string; parts: ModelParts; want: RegExp }[] = [
    {
      name: 'with a convolution of four dimensions',
      parts: {
        inputs: [x('batch', 1, 3, 3, 3, 3)],
        nodes: [node('Conv', ['x', 'w'], 'y', { kernel_shape: ints([2, 2, 2, 2]) })],
        initializers: { w: weight(1, 1, 2, 2, 2, 2) },
      },
      want: /Conv "y" \(output "y"\): it has 4 spatial dimensions; supported are 1 to 3/,
    },
    ...[
      { attribute: 'mode', value: 'cubic', want: /its mode is cubic; supported are nearest and linear/ },
      {
        attribute: 'coordinate_transformation_mode',
        value: 'tf_crop_and_resize',
        want: /is tf_crop_and_resize; supp/,
      },
      { attribute: 'keep_aspect_ratio_policy', value: 'not_larger', want: /only stretch is supported/ },
    ].map(({ attribute, value, want }) => ({
      name: `with Resize and its ${attribute} ${value}`,
      parts: {
        inputs: [x('batch', 1, 2, 2)],
        nodes: [
          node('Mul', ['x', 'w'], 'scaled'),
          node('Resize', ['scaled', '', 'scales'], 'y', { [attribute]: { kind: 'string', value } as const }),
        ],
        initializers: { w: weight(1, 2, 2), scales: floatTensor([1, 1, 2, 2], [4]) },
      },
      want,
    })),
    {
      name: 'with a random operator where a constant would be',
      parts: {
        nodes: [
          node('RandomNormal', [], 'noise', { shape: ints([3]) }),
          node('Add', ['x', 'noise'], 'n'),
          node('MatMul', ['n', 'w'], 'y'),
        ],
        initializers: { w: weight(3, 2) },
      },
      want: /without a gradient: "RandomNormal"/,
    },
    {
      name: 'without parameters',
      parts: { nodes: [node('Relu', ['x'], 'y')] },
      want: /no parameter to train/,
    },
    {
      name: 'without inputs',
      parts: { nodes: [node('MatMul', ['w', 'w'], 'y')], inputs: [], initializers: { w: weight(3, 3) } },
      want: /the model has no input/,
    },
    {
      name: 'with two inputs of which one has no batch',
      parts: { ...MLP, inputs: [x('batch', 3), { ...x(5, 3), name: 'x2' }] },
      want: /inputs "x" and "x2" have first dimensions of "batch" and 5; both must be the batch/,
    },
    {
      name: 'with a dynamic dimension that is not the batch',
      parts: { ...MLP, inputs: [x('batch', 'length')] },
      want: /dimension 1 is "length"; it must be a fixed size/,
    },
  ]
  it.each(refused)('$name', ({ parts, want }) => {
    expect(() => assertTrainable(readModel(modelBytes(parts)))).toThrow(want)
  })

  it.each(['MaxPool', 'AveragePool'])(
    'with a %s whose last window would begin behind the input',
    async (op) => {
      const attributes = {
        kernel_shape: ints([2]),
        strides: ints([3]),
        pads: ints([1, 0]),
        ceil_mode: int(1),
      }
      const parts: ModelParts = {
        inputs: [x('batch', 1, 5)],
        nodes: [node('Mul', ['x', 'w'], 'h'), node(op, ['h'], 'y', attributes)],
        initializers: { w: weight(1, 1, 5) },
      }
      await expect(compiled(parts)).rejects.toThrow(
        `${op} "y" (output "y"): with ceil_mode its last window along spatial dimension 0 would begin behind the input`,
      )
      const covered = { ...attributes, strides: ints([2]) }
      const nodes = [node('Mul', ['x', 'w'], 'h'), node(op, ['h'], 'y', covered)]
      await expect(compiled({ ...parts, nodes })).resolves.toBeDefined()
    },
  )

  it('with a parameter that only decides positions', async () => {
    const parts: ModelParts = {
      nodes: [
        node('MatMul', ['x', 'w'], 'h'),
        node('MatMul', ['x', 'v'], 'k'),
        node('ArgMax', ['k'], 'i', { axis: int(1) }),
        node('Cast', ['i'], 'n', { to: int(1) }),
        node('Add', ['h', 'n'], 'y'),
      ],
      initializers: { w: weight(3, 2), v: weight(3, 2) },
    }
    await expect(compiled(parts)).rejects.toThrow(/no gradient reaches "v"/)
    expect(await parametersOf(parts, { frozen: ['v'] })).toEqual({ w: true })
  })

  it('when its shapes do not fit together', async () => {
    const parts = { ...MLP, initializers: { ...MLP.initializers, w2: weight(5, 2) } }
    await expect(compiled(parts)).rejects.toThrow(/ONNX Runtime does not accept the model|does not run/)
  })

  it('when a value would be too large to hold, before anything runs', async () => {
    const parts: ModelParts = {
      inputs: [x('batch', 1, 3)],
      nodes: [
        node('MatMul', ['x', 'w'], 'h'),
        node('MatMul', ['column', 'row'], 'big'),
        node('Add', ['h', 'big'], 'sum'),
        // A target shape that is only known by running.
        node('Shape', ['sum'], 'shape'),
        node('Identity', ['shape'], 'same'),
        node('Reshape', ['sum', 'same'], 'y'),
      ],
      initializers: { w: weight(3, 1), column: filled(1, 100_000, 1), row: filled(1, 1, 100_000) },
    }
    await expect(compiled(parts)).rejects.toThrow(/value "big" has shape \[100000, 100000\]/)
  })

  it('when the batch does not come out first', async () => {
    const parts: ModelParts = {
      nodes: [node('MatMul', ['x', 'w'], 'h'), node('Transpose', ['h'], 'y')],
      initializers: { w: weight(3, 2) },
    }
    await expect(compiled(parts)).rejects.toThrow(/first dimension of 2 for a batch of 4/)
  })
})

describe('the loss', () => {
  const ending = (op: string): ModelParts => ({
    ...MLP,
    nodes: [...MLP.nodes.slice(0, 2), node('Gemm', ['r', 'w2', 'b2'], 'z'), node(op, ['z'], 'y')],
  })

  it.each([
    {
      op: 'Sigmoid',
      loss: 'SoftmaxCrossEntropy',
      want: /does not fit a model that ends in Sigmoid.*use BinaryCrossEntropy/,
    },
    {
      op: 'Softmax',
      loss: 'BinaryCrossEntropy',
      want: /does not fit a model that ends in Softmax.*use SoftmaxCrossEntropy/,
    },
  ] as const)('$loss does not fit a model that ends in $op', async ({ op, loss, want }) => {
    await expect(compiled(ending(op), { loss: { type: loss } })).rejects.toThrow(want)
  })

  it('SoftmaxCrossEntropy needs a Softmax over the classes', async () => {
    const parts = { ...MLP, nodes: [...MLP.nodes.slice(0, 2), node('Gemm', ['r', 'w2', 'b2'], 'z')] }
    const ended = { ...parts, nodes: [...parts.nodes, node('Softmax', ['z'], 'y', { axis: int(0) })] }
    await expect(compiled(ended, { loss: { type: 'SoftmaxCrossEntropy' } })).rejects.toThrow(
      /Softmax "y" \(output "y"\): its axis is 0 of \[batch, 2\]; loss SoftmaxCrossEntropy needs axis 1/,
    )
  })

  it('takes off the last activation only, also through a change of shape', async () => {
    const parts: ModelParts = {
      ...MLP,
      nodes: [
        ...MLP.nodes.slice(0, 2),
        node('Gemm', ['r', 'w2', 'b2'], 'z'),
        node('Sigmoid', ['z'], 's'),
        node('Reshape', ['s', 'target'], 'y'),
      ],
      initializers: { ...MLP.initializers, target: int64Tensor([-1, 2]) },
    }
    const operators = async (given: ModelParts): Promise<string[]> => {
      const { evaluation } = await compiled(given, { loss: { type: 'BinaryCrossEntropy' } })
      return readModel(evaluation).nodes.map(({ op }) => op)
    }
    expect(await operators(parts)).not.toContain('Sigmoid')
    const reused = [
      ...parts.nodes.slice(0, -1),
      node('Mul', ['s', 's'], 'square'),
      node('Reshape', ['square', 'target'], 'y'),
    ]
    expect(await operators({ ...parts, nodes: reused })).toContain('Sigmoid')
  })

  it('SoftmaxCrossEntropy takes classes at many positions, along axis 1', async () => {
    const parts: ModelParts = {
      inputs: [x('batch', 2, 5)],
      nodes: [node('Conv', ['x', 'w'], 'z'), node('Softmax', ['z'], 'y', { axis: int(1) })],
      initializers: { w: weight(3, 2, 1) },
    }
    const trainer = await LocalTrainer.load(await compiled(parts, { loss: { type: 'SoftmaxCrossEntropy' } }))
    expect(trainer.manifest.label).toMatchObject({ shape: [4, 5], type: 'int32', classes: 3 })
    // Every logit is 0: each class has a third, and the first of equal ones is predicted.
    const samples = {
      x: new Float32Array(20).fill(1),
      y: Int32Array.of(0, 0, 0, 0, 1, 0, 2, 2, 2, 2),
      count: 2,
    }
    const parameters = new Float32Array(6)
    const { metrics } = await trainer.evaluate({ parameters, samples })
    expect(metrics.loss).toBeCloseTo(Math.log(3))
    expect(metrics.accuracy).toBeCloseTo((4 / 5 + 1 / 5) / 2)
    const request = { parameters, samples, epochs: 1, learningRate: 1, seed: 1 }
    const trained = await trainer.trainEpochs(request)
    // Labels 0, 1 and 2 have 5, 1 and 4 of 10 positions; each input is 1.
    const want = [5, 5, 1, 1, 4, 4].map((count) => count / 10 - 1 / 3)
    for (const [index, value] of want.entries()) expect(trained.parameters[index]).toBeCloseTo(value)
    await trainer.close()
    const last = { ...parts, nodes: [node('Conv', ['x', 'w'], 'z'), node('Softmax', ['z'], 'y')] }
    await expect(compiled(last, { loss: { type: 'SoftmaxCrossEntropy' } })).rejects.toThrow(
      /its axis is -1 of \[batch, 3, 5\]; loss SoftmaxCrossEntropy needs axis 1/,
    )
  })

  it('SoftmaxCrossEntropy needs classes', async () => {
    const parts = { ...MLP, initializers: { ...MLP.initializers, w2: weight(4, 1), b2: weight(1) } }
    await expect(compiled(parts, { loss: { type: 'SoftmaxCrossEntropy' } })).rejects.toThrow(
      /needs an output of shape \[batch, classes\] or .* with 2 or more classes; the model's is \[batch, 1\]/,
    )
  })
})

describe('the configuration', () => {
  it.each([
    { change: { batchSize: 0 }, want: /batchSize/ },
    { change: { loss: { type: 'Hinge' } }, want: /loss/ },
    { change: { optimizer: { type: 'SGD', momentum: 1 } }, want: /momentum/ },
    { change: { optimizer: { type: 'SGD', momentun: 0.5 } }, want: /momentun/ },
    { change: { learningRate: 1 }, want: /learningRate/ },
    { change: { optimizer: { type: 'SGD', nesterov: true } }, want: /nesterov needs a momentum above 0/ },
    { change: { optimizer: { type: 'Yogi', amsgrad: true } }, want: /amsgrad/ },
    { change: { objective: { type: 'Proximal', mu: 0 } }, want: /objective.mu/ },
    { change: { objective: { type: 'FedDyn' } }, want: /objective.alpha/ },
    {
      change: { objective: { type: 'Scaffold' }, optimizer: { type: 'Adam' } },
      want: /objective Scaffold needs optimizer SGD/,
    },
    { change: { gradientClipping: { type: 'Norm', maximum: 0 } }, want: /gradientClipping.maximum/ },
  ])('is refused with $change', async ({ change, want }) => {
    const configuration = { ...SGD, ...change } as TrainingConfigurationInput
    await expect(compileTraining(readModel(modelBytes(MLP)), configuration)).rejects.toThrow(want)
  })
})
