import { describe, expect, it } from 'vitest'
import { canonicalJson, equalValues, firstDifference } from './compare.ts'
import { parseQuantity } from './quantity.ts'

describe('canonical JSON', () => {
  it('does not depend on the order of keys, nor on undefined', () => {
    expect(canonicalJson({ b: [{ d: 1, c: undefined }], a: null })).toBe('{"a":null,"b":[{"d":1}]}')
    expect(equalValues({ a: 1, b: undefined }, { a: 1 })).toBe(true)
    expect(equalValues([1, 2], [2, 1])).toBe(false)
  })
})

describe('the first difference', () => {
  const cases: { name: string; wanted: unknown; observed: unknown; want: string | undefined }[] = [
    { name: 'same', wanted: { a: 1 }, observed: { a: 1 }, want: undefined },
    { name: 'the server added a field', wanted: { a: 1 }, observed: { a: 1, b: 2 }, want: undefined },
    { name: 'a field is missing', wanted: { a: { b: 1 } }, observed: { a: {} }, want: 'a.b' },
    { name: 'a value differs', wanted: { a: { b: 1 } }, observed: { a: { b: 2 } }, want: 'a.b' },
    { name: 'nothing is observed', wanted: { a: { b: 1 } }, observed: {}, want: 'a' },
    { name: 'empty is left out', wanted: { a: {}, b: [], c: '', d: false }, observed: {}, want: undefined },
    { name: 'undefined is no wish', wanted: { a: undefined }, observed: { a: 1 }, want: undefined },
    {
      name: 'quantities by value',
      wanted: { cpu: '1000m', m: 512 },
      observed: { cpu: '1', m: '512' },
      want: undefined,
    },
    { name: 'quantities that differ', wanted: { cpu: '1500m' }, observed: { cpu: '1' }, want: 'cpu' },
    { name: 'texts that differ', wanted: { image: 'a:1' }, observed: { image: 'a:2' }, want: 'image' },
    {
      name: 'named items in any order, with more beside them',
      wanted: [{ name: 'b', value: '2' }],
      observed: [{ name: 'a' }, { name: 'b', value: '2', more: 1 }],
      want: undefined,
    },
    { name: 'a named item is missing', wanted: [{ name: 'b' }], observed: [{ name: 'a' }], want: '[0]' },
    {
      name: 'plain items in another order',
      wanted: { args: ['a', 'b'] },
      observed: { args: ['b', 'a'] },
      want: 'args[0]',
    },
    { name: 'more plain items', wanted: { args: ['a'] }, observed: { args: ['a', 'b'] }, want: 'args' },
    { name: 'another kind of value', wanted: { a: [1] }, observed: { a: { 0: 1 } }, want: 'a' },
  ]
  it.each(cases)('$name', ({ wanted, observed, want }) => {
    expect(firstDifference(wanted, observed)).toBe(want)
  })
})

describe('quantities', () => {
  it.each([
    ['500m', 0.5],
    ['1', 1],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['1Gi', 1073741824],
    ['1G', 1e9],
    ['2e3', 2000],
    ['1E', 1e18],
    ['-1k', -1000],
    [3, 3],
  ])('%s is %d', (text, want) => {
    expect(parseQuantity(text)).toBe(want)
  })

  it.each(['', 'abc', '1K', '1 Gi', '1gi', 'm', '1.2.3', null, undefined, {}, NaN])('%s is none', (value) => {
    expect(parseQuantity(value)).toBeUndefined()
  })
})
