import { expect, it } from 'vitest'
import { matches } from './selector.ts'

const labels = { zone: 'a', tier: 'edge' }

it.each([
  { name: 'everything when absent', selector: undefined, want: true },
  { name: 'everything when empty', selector: {}, want: true },
  { name: 'an equal label', selector: { matchLabels: { zone: 'a' } }, want: true },
  { name: 'not another value', selector: { matchLabels: { zone: 'b' } }, want: false },
  {
    name: 'not when one of two differs',
    selector: { matchLabels: { zone: 'a', tier: 'cloud' } },
    want: false,
  },
  {
    name: 'In',
    selector: { matchExpressions: [{ key: 'zone', operator: 'In' as const, values: ['a', 'b'] }] },
    want: true,
  },
  {
    name: 'not In for a missing label',
    selector: { matchExpressions: [{ key: 'x', operator: 'In' as const, values: ['a'] }] },
    want: false,
  },
  {
    name: 'NotIn for a missing label',
    selector: { matchExpressions: [{ key: 'x', operator: 'NotIn' as const, values: ['a'] }] },
    want: true,
  },
  {
    name: 'not NotIn for a listed value',
    selector: { matchExpressions: [{ key: 'zone', operator: 'NotIn' as const, values: ['a'] }] },
    want: false,
  },
  {
    name: 'Exists',
    selector: { matchExpressions: [{ key: 'zone', operator: 'Exists' as const }] },
    want: true,
  },
  {
    name: 'not DoesNotExist',
    selector: { matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' as const }] },
    want: false,
  },
])('matches $name', ({ selector, want }) => {
  expect(matches(selector, labels)).toBe(want)
})
