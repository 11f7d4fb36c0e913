import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { ElementType, TensorDescription } from './model-jobs.ts'
import { DATATYPES, type JsonTensor, fromJson, toJson } from './tensors.ts'

function input(type: ElementType = 'float32', shape: readonly number[] = [-1, 2]): TensorDescription {
  return { name: 'x', type, shape }
}

function given(changes: Partial<JsonTensor> = {}): JsonTensor {
  return { name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4], ...changes }
}

describe('fromJson', () => {
  it.each([
    { name: 'flat', data: [1, 2, 3, 4] },
    {
      name: 'nested',
      data: [
        [1, 2],
        [3, 4],
      ],
    },
  ])('takes $name data', ({ data }) => {
    expect(fromJson(given({ data }), input())).toEqual({
      name: 'x',
      type: 'float32',
      shape: [2, 2],
      data: Float32Array.of(1, 2, 3, 4),
    })
  })

  it('takes a scalar', () => {
    expect(fromJson(given({ shape: [], data: [7] }), input('float32', [])).data).toEqual(Float32Array.of(7))
  })

  it.each<{ type: ElementType; data: unknown[]; want: unknown }>([
    { type: 'float64', data: [0.1], want: Float64Array.of(0.1) },
    { type: 'int8', data: [-128], want: Int8Array.of(-128) },
    { type: 'int64', data: [-5], want: BigInt64Array.of(-5n) },
    { type: 'uint64', data: [5], want: BigUint64Array.of(5n) },
    { type: 'bool', data: [true], want: Uint8Array.of(1) },
    { type: 'string', data: ['é'], want: ['é'] },
  ])('makes what the session takes of $type', ({ type, data, want }) => {
    expect(fromJson(given({ datatype: DATATYPES[type], shape: [1], data }), input(type, [1])).data).toEqual(
      want,
    )
  })

  const refusals: {
    name: string
    change: Partial<JsonTensor>
    expected?: TensorDescription
    want: string
  }[] = [
    {
      name: 'another datatype',
      change: { datatype: 'FP64' },
      want: 'input x: datatype FP64 given, FP32 expected',
    },
    { name: 'another rank', change: { shape: [4] }, want: 'shape [4] given, [-1, 2] expected' },
    { name: 'another size', change: { shape: [2, 3] }, want: 'shape [2, 3] given, [-1, 2] expected' },
    {
      name: 'an empty batch',
      change: { shape: [0, 2], data: [] },
      want: 'shape [0, 2] given, [-1, 2] expected',
    },
    {
      name: 'too few elements',
      change: { data: [1, 2, 3] },
      want: '3 elements given, 4 expected for shape [2, 2]',
    },
    { name: 'too many elements', change: { data: [1, 2, 3, 4, 5] }, want: '5 elements given, 4 expected' },
    {
      name: 'ragged data',
      change: { data: [[1, 2], [3]] },
      want: 'a list of 1 where a list of 2 is expected',
    },
    {
      name: 'data nested half way',
      change: { data: [[1, 2], 3] },
      want: 'a single value where a list of 2 is expected',
    },
    {
      name: 'data nested too deep',
      change: {
        data: [
          [[1], 2],
          [3, 4],
        ],
      },
      want: 'element 0 is [1], expected a finite number',
    },
    {
      name: 'a word',
      change: { data: [1, 'two', 3, 4] },
      want: 'element 1 is "two", expected a finite number within FP32',
    },
    { name: 'null', change: { data: [1, null, 3, 4] }, want: 'element 1 is null, expected a finite number' },
    { name: 'a number beyond the type', change: { data: [1, 2, 3, 1e39] }, want: 'element 3 is 1e+39' },
    {
      name: 'an integer beyond the type',
      change: { datatype: 'INT8', shape: [1], data: [128] },
      expected: input('int8', [1]),
      want: 'element 0 is 128, expected an integer from -128 to 127',
    },
    {
      name: 'a fraction for an integer',
      change: { datatype: 'INT64', shape: [1], data: [0.5] },
      expected: input('int64', [1]),
      want: 'element 0 is 0.5, expected an integer',
    },
    {
      name: 'a number for a truth value',
      change: { datatype: 'BOOL', shape: [1], data: [1] },
      expected: input('bool', [1]),
      want: 'element 0 is 1, expected true or false',
    },
  ]
  it.each(refusals)('refuses $name, with what was given and expected', ({ change, expected, want }) => {
    expect(() => fromJson(given(change), expected ?? input())).toThrow(want)
  })
})

describe('toJson', () => {
  it.each<{ type: ElementType; data: Parameters<typeof toJson>[0]['data']; want: unknown[] }>([
    { type: 'float32', data: Float32Array.of(0.5), want: [0.5] },
    { type: 'int64', data: BigInt64Array.of(-5n), want: [-5] },
    { type: 'bool', data: Uint8Array.of(1, 0), want: [true, false] },
    { type: 'string', data: ['a'], want: ['a'] },
  ])('writes $type', ({ type, data, want }) => {
    expect(toJson({ name: 'y', type, shape: [want.length], data })).toEqual({
      name: 'y',
      datatype: DATATYPES[type],
      shape: [want.length],
      data: want,
    })
  })

  it('refuses a number that JSON would turn into null', () => {
    const broken = { name: 'y', type: 'float32', shape: [2], data: Float32Array.of(1, NaN) } as const
    expect(() => toJson(broken)).toThrow('output y: element 1 is NaN')
  })

  it('gives back what was read, through JSON', () => {
    const finite = fc.float({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0))
    fc.assert(
      fc.property(fc.array(finite, { minLength: 2, maxLength: 40 }), (values) => {
        const data = values.slice(0, values.length - (values.length % 2))
        const written = given({ shape: [data.length / 2, 2], data })
        expect(JSON.parse(JSON.stringify(toJson(fromJson(written, input()))))).toEqual(written)
      }),
    )
  })
})
