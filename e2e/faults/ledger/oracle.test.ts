import { describe, expect, it } from 'vitest'
import { judge, type Entry, type Merged } from './oracle.ts'

/** Three participants, two places of payload. */
const OWN: Readonly<Record<string, readonly number[]>> = {
  a: [1, 0, 0, 7, -3],
  b: [0, 1, 0, 20, 5],
  'b otherwise': [0, 1, 0, 21, 5],
  c: [0, 0, 1, -100, 9],
}
const vectorOf = (_participant: number, digest: string): Float32Array => Float32Array.from(OWN[digest] ?? [])
const sumOf = (...digests: string[]): number[] =>
  [0, 1, 2, 3, 4].map((at) => digests.reduce((sum, digest) => sum + (OWN[digest]?.[at] ?? 0), 0))
const entry = (sent: string[], acknowledged: string[] = [], refused: string[] = []): Entry => ({
  sent: new Set(sent),
  acknowledged: new Set(acknowledged),
  refused: new Set(refused),
  owed: acknowledged.length > 0,
})
const committed = (...digests: string[]): Merged['committed'] =>
  digests.map((digest) => ({ participant: digest.charCodeAt(0) - 'a'.charCodeAt(0), digest }))
const mergedOf = (...digests: string[]): Merged => ({
  sum: sumOf(...digests),
  committed: committed(...digests),
})

const acknowledged = [entry(['a'], ['a']), entry(['b'], ['b']), entry(['c'], ['c'])]

describe('the ledger oracle is content', () => {
  it.each<[string, Entry[], Merged]>([
    ['when everything acknowledged counts once', acknowledged, mergedOf('a', 'b', 'c')],
    [
      'when an update without an answer counts',
      [...acknowledged.slice(0, 2), entry(['c'])],
      mergedOf('a', 'b', 'c'),
    ],
    [
      'when an update without an answer does not count',
      [...acknowledged.slice(0, 2), entry(['c'])],
      mergedOf('a', 'b'),
    ],
    ['when what was never sent does not count', [...acknowledged.slice(0, 2), entry([])], mergedOf('a', 'b')],
    [
      'when the other one of two rivals was refused',
      [entry(['a'], ['a']), entry(['b', 'b otherwise'], ['b otherwise'], ['b'])],
      mergedOf('a', 'b otherwise'),
    ],
    [
      'when one of two rivals counts that different tiers acknowledged',
      [entry(['a'], ['a']), { ...entry(['b', 'b otherwise']), owed: true }],
      mergedOf('a', 'b otherwise'),
    ],
    [
      'with the rounding that float32 leaves',
      acknowledged,
      { ...mergedOf('a', 'b', 'c'), sum: sumOf('a', 'b', 'c').map((value) => value + 0.004) },
    ],
  ])('%s', (_, entries, merged) => {
    expect(judge(entries, merged, vectorOf)).toEqual([])
  })
})

describe('the ledger oracle finds', () => {
  it.each<[string, Entry[], Merged, string]>([
    ['an acknowledged update that is missing', acknowledged, mergedOf('a', 'b'), 'lost'],
    ['an update that counts twice', acknowledged, mergedOf('a', 'b', 'b', 'c'), 'twice'],
    [
      'that neither of two rivals counts that different tiers acknowledged',
      [entry(['a'], ['a']), { ...entry(['b', 'b otherwise']), owed: true }],
      mergedOf('a'),
      'lost',
    ],
    [
      'an update without an answer that counts twice',
      [...acknowledged.slice(0, 2), entry(['c'])],
      mergedOf('a', 'b', 'c', 'c'),
      'twice',
    ],
    [
      'an update that nobody sent',
      [...acknowledged.slice(0, 2), entry([])],
      mergedOf('a', 'b', 'c'),
      'notSent',
    ],
    [
      'a refused update that counts',
      [...acknowledged.slice(0, 2), entry(['c'], [], ['c'])],
      mergedOf('a', 'b', 'c'),
      'refusedYetCounted',
    ],
    [
      'other bytes than those that were acknowledged',
      [entry(['a'], ['a']), entry(['b', 'b otherwise'], ['b'])],
      mergedOf('a', 'b otherwise'),
      'otherBytes',
    ],
    [
      'two acknowledgements of one key',
      [entry(['a'], ['a']), entry(['b', 'b otherwise'], ['b', 'b otherwise'])],
      mergedOf('a', 'b'),
      'otherBytes',
    ],
    [
      'a commit that names what the sum does not hold',
      acknowledged,
      { sum: sumOf('a', 'b'), committed: committed('a', 'b', 'c') },
      'record',
    ],
    [
      'a sum with the payload of other bytes',
      acknowledged,
      { sum: sumOf('a', 'b otherwise', 'c'), committed: committed('a', 'b', 'c') },
      'payload',
    ],
    [
      'an update that counts by half',
      acknowledged,
      { sum: [0.5, ...sumOf('a', 'b', 'c').slice(1)], committed: committed('a', 'b', 'c') },
      'payload',
    ],
    ['a sum that is no number', acknowledged, { ...mergedOf('a', 'b', 'c'), sum: [Number.NaN] }, 'payload'],
    [
      'a payload that is no number',
      acknowledged,
      { ...mergedOf('a', 'b', 'c'), sum: [1, 1, 1, Number.NaN, 11] },
      'payload',
    ],
  ])('%s', (_, entries, merged, kind) => {
    expect(judge(entries, merged, vectorOf).map((finding) => finding.kind)).toContain(kind)
  })
})
