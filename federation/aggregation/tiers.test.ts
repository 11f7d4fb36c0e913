// Merging in tiers against merging flat, for every strategy of the contract table that allows tiers: random trees, some members in
// tiers and others beside them, running state included. Equal bits for whole numbers; for others to 1e-6 of what is summed up.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readStrategyConfiguration } from './configuration.ts'
import { contractCases } from './contract.case.ts'
import { sameBits } from './kernels.case.ts'
import { inMemory } from './reader.ts'
import { strategyOf } from './strategies.ts'
import type { Strategy } from './strategy.ts'
import { sumUpdates, type SumOptions } from './sum.ts'
import { collected, mergeInMemory, type Merged, type TestUpdate } from './testing/merging.ts'

/** A member is an update by its place in the list, a tier a list of members and tiers. */
type Tree = number | readonly Tree[]
type Member = TestUpdate & { readonly samples: number }

const LENGTH = 9
const TRAINABLE = 6

function opened({ values, ...update }: Member): SumOptions['updates'][number] {
  return { ...update, open: inMemory(Float32Array.from(values)) }
}

async function sumOf(tree: Tree, members: readonly Member[], name = 'tier'): Promise<Member> {
  if (typeof tree === 'number') return members[tree]!
  const below = await Promise.all(tree.map(async (part, k) => sumOf(part, members, `${name}-${k}`)))
  const { write, values } = collected()
  const samples = await sumUpdates({ updates: below.map(opened), length: LENGTH, write, memoryBytes: 1 })
  return { participant: name, samples, summed: true, values: values() }
}

/** Two rounds, so that what the server keeps goes through tiers, too. */
async function merged(strategy: Strategy, updates: readonly TestUpdate[]): Promise<Merged> {
  const shape = { strategy, updates, parameterCount: LENGTH, trainableCount: TRAINABLE }
  const first = await mergeInMemory(shape)
  const context = { round: 2, participants: updates.length, learningRate: 0.1 }
  return mergeInMemory({ ...shape, base: first.parameters, state: first.state, context })
}

/** Cuts the list into parts at random, and the parts again: two to four levels with the root. */
const trees = (count: number): fc.Arbitrary<readonly Tree[]> => {
  const cut = (list: readonly Tree[], seed: readonly number[]): Tree[] => {
    const parts: Tree[][] = [[]]
    for (const [k, part] of list.entries()) {
      if (seed[k % seed.length]! % 3 === 0 && parts.at(-1)!.length > 0) parts.push([])
      parts.at(-1)!.push(part)
    }
    // A part of one is a tier of one member, or the member itself.
    return parts.map((part, k) => (part.length === 1 && seed[k % seed.length]! % 2 === 0 ? part[0]! : part))
  }
  return fc
    .array(fc.array(fc.nat(11), { minLength: 3, maxLength: 7 }), { minLength: 1, maxLength: 3 })
    .map((seeds) => seeds.reduce<readonly Tree[]>(cut, [...Array(count).keys()]))
}

const tiered = contractCases
  .map(({ configuration }) => strategyOf(readStrategyConfiguration(configuration)))
  .filter(({ allowsTiers }) => allowsTiers)

function members(values: (member: number, place: number) => number): Member[] {
  return Array.from({ length: 12 }, (_, k) => ({
    participant: `node-${String(k).padStart(2, '0')}`,
    samples: 1 + ((k * 7) % 5),
    values: Float32Array.from({ length: LENGTH }, (_v, i) => values(k, i)),
  }))
}

it('is of all strategies whose server only needs the mean weighted by samples', () => {
  const types = tiered.map(({ type }) => type)
  expect(types).toEqual(['FedAvg', 'FedProx', 'FedAvgM', 'FedAdagrad', 'FedAdam', 'FedYogi'])
})

describe.each(tiered)('merging in tiers by $type', (strategy) => {
  it('gives the bits of merging flat for whole numbers', async () => {
    const updates = members((k, i) => Math.trunc(3000 * Math.sin(k * 13 + i)))
    const flat = await merged(strategy, updates)
    await fc.assert(
      fc.asyncProperty(trees(updates.length), async (tree) => {
        const sums = await Promise.all(tree.map(async (part, k) => sumOf(part, updates, `tier-${k}`)))
        const got = await merged(strategy, sums)
        expect(sameBits(got.parameters, flat.parameters)).toBe(true)
        for (const [k, vector] of flat.state.entries()) expect(sameBits(got.state[k]!, vector)).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  it('gives what merging flat gives to 1e-6', async () => {
    // One sign a place: a mean near zero of large values has no relative precision of its own.
    const sign = (i: number): number => (i % 2 === 0 ? 1 : -1)
    const updates = members((k, i) => sign(i) * 10 ** ((i % 5) - 2) * (1 + 0.9 * Math.sin(k * 5 + i * i)))
    const flat = await merged(strategy, updates)
    await fc.assert(
      fc.asyncProperty(trees(updates.length), async (tree) => {
        const sums = await Promise.all(tree.map(async (part, k) => sumOf(part, updates, `tier-${k}`)))
        const got = await merged(strategy, sums)
        for (const [vector, want] of [
          [got.parameters, flat.parameters],
          ...flat.state.map((one, k) => [got.state[k]!, one] as const),
        ] as const) {
          for (const [i, value] of want.entries()) {
            expect(Math.abs(vector[i]! - value)).toBeLessThanOrEqual(1e-6 * Math.abs(value))
          }
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('the sum of updates', () => {
  const updates = members((k, i) => k + i)

  it('is Σ samples · update, and says Σ samples', async () => {
    const { write, values } = collected()
    const samples = await sumUpdates({ updates: updates.map(opened), length: LENGTH, write })
    expect(samples).toBe(updates.reduce((sum, update) => sum + update.samples, 0))
    const want = updates.reduce((sum, update) => sum + update.samples * update.values[2]!, 0)
    expect(values()[2]).toBe(want)
    expect(values()).toHaveLength(LENGTH)
  })

  it('is added in float64: what a float32 would lose on the way is there at the end', async () => {
    const big = [2 ** 24, 1, 1, 1, 1, -(2 ** 24)]
    const each = big.map((value, k) => ({ participant: `n${k}`, samples: 1, values: [value] }))
    const { write, values } = collected()
    await sumUpdates({ updates: each.map(opened), length: 1, write })
    expect([...values()]).toEqual([4])
  })

  it('is refused when it is no finite float32, with the place', async () => {
    const each = [0, 1].map((k) => ({ participant: `n${k}`, samples: 1e9, values: [1, 1e30] }))
    const sum = sumUpdates({ updates: each.map(opened), length: 2, write: async () => Promise.resolve() })
    await expect(sum).rejects.toThrow('value 1 of the sum became Infinity; an update was too large')
  })

  it('holds each participant once', async () => {
    const twice = [updates[0]!, updates[0]!].map(opened)
    const sum = sumUpdates({ updates: twice, length: LENGTH, write: async () => Promise.resolve() })
    await expect(sum).rejects.toThrow('participant node-00 has two updates; each counts once')
  })

  it('is refused by a strategy that merges each update by itself', async () => {
    const strategy = strategyOf(readStrategyConfiguration({ type: 'Median' }))
    const sums = [{ ...updates[0]!, summed: true }]
    await expect(mergeInMemory({ strategy, updates: sums })).rejects.toThrow(
      'the update of node-00 is a sum of updates; Median merges each one by itself',
    )
  })
})
