import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
} from 'onnx-buf'
import { describe, expect, it } from 'vitest'

import { ModelError } from './errors.ts'
import { readModel } from './model.ts'
import { MLP, modelBytes, node, weight, x } from './testdata/models.ts'

/** The MLP with one thing changed. */
function changed(change: (model: ModelProto, graph: NonNullable<ModelProto['graph']>) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, modelBytes(MLP))
  if (model.graph) change(model, model.graph)
  return toBinary(ModelProtoSchema, model)
}

describe('a good model', () => {
  it('is read whole', () => {
    const model = readModel(modelBytes(MLP))
    expect(model.opset).toBe(17)
    expect(model.inputs).toEqual([{ name: 'x', type: 'float32', shape: ['batch', 3] }])
    expect(model.nodes.map(({ op }) => op)).toEqual(['Gemm', 'Relu', 'Gemm'])
    expect(model.initializers.get('w1')).toEqual(weight(3, 4))
  })

  it('may hold its numbers as float_data instead of raw_data', () => {
    const bytes = changed((_, graph) => {
      graph.initializer[0] = create(TensorProtoSchema, {
        name: 'w1',
        dims: [3n, 4n],
        dataType: TensorProto_DataType.FLOAT,
        floatData: Array<number>(12).fill(0.5),
      })
    })
    expect(readModel(bytes).initializers.get('w1')?.data).toEqual(new Float32Array(12).fill(0.5))
  })

  it('may have integers beyond ±2^53, which stay beyond any size', () => {
    const bytes = changed((_, graph) => {
      const ends = create(AttributeProtoSchema, {
        name: 'ends',
        type: AttributeProto_AttributeType.INTS,
        ints: [2n ** 63n - 1n, -(2n ** 63n), -7n],
      })
      graph.node[1]?.attribute.push(ends)
    })
    const [, relu] = readModel(bytes).nodes
    const value = [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, -7]
    expect(relu?.attributes['ends']).toEqual({ kind: 'ints', value })
  })

  it('may list initializers among its inputs, as old exporters do', () => {
    const model = readModel(modelBytes({ ...MLP, inputs: [x('batch', 3), { ...x(4), name: 'b1' }] }))
    expect(model.inputs.map(({ name }) => name)).toEqual(['x'])
  })
})

describe('a model is refused', () => {
  const table: { name: string; bytes: Uint8Array; want: RegExp }[] = [
    { name: 'when it is empty', bytes: new Uint8Array(), want: /0 bytes; expected an ONNX file/ },
    {
      name: 'when it is something else',
      bytes: new TextEncoder().encode('<html><body>not found</body></html>'),
      want: /not an ONNX model/,
    },
    { name: 'when it is cut short', bytes: modelBytes(MLP).subarray(0, 100), want: /not an ONNX model/ },
    {
      name: 'with an opset that is too old',
      bytes: modelBytes({ ...MLP, opset: 12 }),
      want: /opset is 12; supported are opsets 13 to 24/,
    },
    { name: 'with an opset that is too new', bytes: modelBytes({ ...MLP, opset: 25 }), want: /opset is 25/ },
    {
      name: 'with an ir_version that is unknown',
      bytes: changed((model) => (model.irVersion = 99n)),
      want: /ir_version is 99; supported are 3 to 13/,
    },
    {
      name: 'without a graph',
      bytes: changed((model) => delete model.graph),
      want: /has no graph/,
    },
    {
      name: 'with external data',
      bytes: changed((_, graph) => {
        graph.initializer[0]?.externalData.push(
          create(StringStringEntryProtoSchema, { key: 'location', value: '../../etc/passwd' }),
        )
      }),
      want: /external data/,
    },
    {
      name: 'with functions',
      bytes: changed((model) => model.functions.push(create(FunctionProtoSchema, { name: 'f' }))),
      want: /functions/,
    },
    {
      name: 'with sparse initializers',
      bytes: changed((_, graph) => graph.sparseInitializer.push(create(SparseTensorProtoSchema, {}))),
      want: /sparse/,
    },
    {
      name: 'with a subgraph',
      bytes: changed((_, graph) => {
        graph.node[1]?.attribute.push(
          create(AttributeProtoSchema, {
            name: 'then_branch',
            type: AttributeProto_AttributeType.GRAPH,
            g: create(GraphProtoSchema, {}),
          }),
        )
      }),
      want: /subgraph/,
    },
    {
      name: 'with an operator of another domain',
      bytes: changed((_, graph) => {
        Object.assign(graph.node[1] ?? {}, { domain: 'com.microsoft', name: 'fused' })
      }),
      want: /node "fused" \(Relu\) is of the domain "com.microsoft"/,
    },
    {
      name: 'with two values of one name',
      bytes: modelBytes({ ...MLP, nodes: [...MLP.nodes, node('Relu', ['h'], 'r')] }),
      want: /value "r" is defined twice/,
    },
    {
      name: 'with two initializers of one name',
      bytes: changed((_, graph) => graph.initializer.push(...graph.initializer.slice(0, 1))),
      want: /initializer "w1" occurs twice/,
    },
    {
      name: 'with an input that nothing defines',
      bytes: modelBytes({ nodes: [node('Relu', ['missing'], 'y')] }),
      want: /node "y" \(Relu\) uses "missing", which nothing before it defines/,
    },
    {
      name: 'with nodes in a circle',
      bytes: modelBytes({ nodes: [node('Add', ['x', 'b'], 'a'), node('Relu', ['a'], 'b')], output: 'b' }),
      want: /uses "b", which nothing before it defines/,
    },
    {
      name: 'with an output that nothing defines',
      bytes: modelBytes({ ...MLP, output: 'z' }),
      want: /graph output "z" is defined by no node/,
    },
    {
      name: 'with half-precision weights',
      bytes: changed((_, graph) => {
        const [first] = graph.initializer
        if (first) first.dataType = TensorProto_DataType.FLOAT16
      }),
      want: /initializer "w1" has element type float16; supported are float \(float32\)/,
    },
    {
      name: 'with a shape that its data do not have',
      bytes: changed((_, graph) => {
        const [first] = graph.initializer
        if (first) first.dims = [3n, 5n]
      }),
      want: /initializer "w1" holds 12 elements, but its shape \[3, 5\] has 15/,
    },
    {
      name: 'with a negative dimension',
      bytes: changed((_, graph) => {
        const [first] = graph.initializer
        if (first) first.dims = [-3n, -4n]
      }),
      want: /dimension of -3/,
    },
  ]

  it.each(table)('$name', ({ bytes, want }) => {
    expect(() => readModel(bytes)).toThrow(ModelError)
    expect(() => readModel(bytes)).toThrow(want)
  })

  it.each([
    { limits: { bytes: 10 }, want: /the limit is 10/ },
    { limits: { nodes: 2 }, want: /3 nodes; the limit is 2/ },
    { limits: { initializers: 3 }, want: /4 initializers; the limit is 3/ },
    { limits: { rank: 1 }, want: /2 dimensions; the limit is 1/ },
    { limits: { elements: 11 }, want: /more than 11 elements/ },
    { limits: { nameLength: 1 }, want: /name of 2 characters; the limit is 1/ },
    { limits: { tokens: 20 }, want: /more than 20 fields and integers/ },
  ])('beyond the limits $limits', ({ limits, want }) => {
    expect(() => readModel(modelBytes(MLP), limits)).toThrow(want)
  })
})

describe('bytes from outside', () => {
  it('are a model or a ModelError, whatever they are', () => {
    const bytes = modelBytes(MLP)
    const flips = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
    const broken = flips.map((changes) => {
      const copy = Uint8Array.from(bytes)
      for (const [at, value] of changes) copy[at] = value
      return copy
    })
    fc.assert(
      fc.property(fc.oneof(broken, fc.uint8Array({ maxLength: 200 })), (garbage) => {
        try {
          readModel(garbage)
        } catch (error) {
          expect(error).toBeInstanceOf(ModelError)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('cannot make the reader allocate many times their size', () => {
    // 4 million empty nodes in 8 MB: each would become an object.
    const nodes = new Uint8Array(8_000_000)
    for (let at = 0; at < nodes.length; at += 2) nodes[at] = 0x0a
    const header = [0x3a, 0x80, 0xa4, 0xe8, 0x03]
    expect(() => readModel(Uint8Array.from([...header, ...nodes]))).toThrow(/more than 2097152 fields/)
  })

  it('cannot make one byte a large integer a million times over', () => {
    const bytes = changed((_, graph) => {
      const int64Data = Array<bigint>(3_000_000).fill(1n)
      const dataType = TensorProto_DataType.INT64
      graph.initializer.push(
        create(TensorProtoSchema, { name: 'many', dims: [3_000_000n], dataType, int64Data }),
      )
    })
    expect(() => readModel(bytes)).toThrow(/more than 2097152 fields and integers/)
  })

  it('cannot exhaust the stack by nesting', () => {
    // A type that is a sequence of a type that is a sequence …
    let type: number[] = []
    for (let depth = 0; depth < 200; depth++)
      type = [
        0x22,
        ...length(type.length + 1 + length(type.length).length),
        0x0a,
        ...length(type.length),
        ...type,
      ]
    const valueInfo = [0x12, ...length(type.length), ...type]
    const graph = [0x5a, ...length(valueInfo.length), ...valueInfo]
    expect(() => readModel(Uint8Array.from([0x3a, ...length(graph.length), ...graph]))).toThrow(ModelError)
  })
})

function length(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...length(value >> 7)]
}
