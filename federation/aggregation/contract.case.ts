// What must hold for every strategy, as one table of cases and one list of tests: the same set of updates gives the same
// bits however it arrives and is cut, nothing is counted twice, memory is bounded, and state is carried over.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { StrategyConfigurationInput } from './configuration.ts'
import { readStrategyConfiguration } from './configuration.ts'
import type { Kernels } from './kernels.ts'
import { sameBits } from './kernels.case.ts'
import { mergeUpdates } from './merge.ts'
import { inMemory, type OpenReader } from './reader.ts'
import { referenceKernels } from './reference-kernels.ts'
import { strategyOf } from './strategies.ts'
import type { Strategy } from './strategy.ts'
import { mergeInMemory, type Merged, type TestUpdate } from './testing/merging.ts'

export interface ContractCase {
  readonly configuration: StrategyConfigurationInput
  /** The fewest updates that can be merged. */
  readonly fewest: number
  /** From zeros, what a round of equal updates of 1 makes of each parameter, and what a second round makes of that. */
  readonly rounds: readonly [number, number]
  /** Server state after these two rounds. */
  readonly state?: readonly number[]
}

const adamRate = (round: number): number =>
  (0.1 * Math.sqrt(1 - 0.99 ** (round + 1))) / (1 - 0.9 ** (round + 1))
const adam1 = (adamRate(1) * 0.1) / (Math.sqrt(0.01) + 1e-3)
const adam2 = adam1 + (adamRate(2) * 0.19) / (Math.sqrt(0.0199) + 1e-3)
const yogi1 = (0.01 * 0.1) / (Math.sqrt(0.01) + 1e-3)
const yogi2 = yogi1 + (0.01 * 0.19) / (Math.sqrt(0.02) + 1e-3)
const adagrad1 = 0.1 / (1 + 1e-3)
const adagrad2 = adagrad1 + 0.1 / (Math.SQRT2 + 1e-3)
/** With learning rate 0.1, initial loss 1 and 3 values of 1: L·Δ/(q·L²·‖Δ‖² + L) = 10/(0.5·100·3 + 10). */
const fair = 10 / (0.5 * 300 + 10)
/** The norm of 3 values of 1 is √3. */
const clipped = 1 / Math.sqrt(3)

export const contractCases: readonly ContractCase[] = [
  { configuration: { type: 'FedAvg' }, fewest: 1, rounds: [1, 2] },
  { configuration: { type: 'FedProx', mu: 0.1 }, fewest: 1, rounds: [1, 2] },
  { configuration: { type: 'FedAvgM' }, fewest: 1, rounds: [1, 2.9], state: [1.9] },
  { configuration: { type: 'FedAdagrad' }, fewest: 1, rounds: [adagrad1, adagrad2], state: [2] },
  { configuration: { type: 'FedAdam' }, fewest: 1, rounds: [adam1, adam2], state: [0.19, 0.0199] },
  { configuration: { type: 'FedYogi' }, fewest: 1, rounds: [yogi1, yogi2], state: [0.19, 0.02] },
  // 3 of 6 participants send a change of 1 in their control variate.
  { configuration: { type: 'Scaffold', serverLearningRate: 0.5 }, fewest: 1, rounds: [0.5, 1], state: [1] },
  { configuration: { type: 'FedNova' }, fewest: 1, rounds: [1, 2] },
  { configuration: { type: 'QFedAvg', q: 0.5 }, fewest: 1, rounds: [fair, 2 * fair] },
  { configuration: { type: 'QFedAvg', q: 0 }, fewest: 1, rounds: [1, 2] },
  // 3 of 6 participants: h = −α/2, then −α; x = 1 + 1/2, then 1.5 + 1 + 1.
  { configuration: { type: 'FedDyn', alpha: 0.1 }, fewest: 1, rounds: [1.5, 3.5], state: [-0.1] },
  { configuration: { type: 'FedBuff' }, fewest: 1, rounds: [1, 2] },
  { configuration: { type: 'Median' }, fewest: 1, rounds: [1, 2] },
  { configuration: { type: 'TrimmedMean', trimmed: 2 }, fewest: 5, rounds: [1, 2] },
  { configuration: { type: 'Krum', byzantine: 1 }, fewest: 5, rounds: [1, 2] },
  { configuration: { type: 'MultiKrum', byzantine: 1, selected: 3 }, fewest: 5, rounds: [1, 2] },
  { configuration: { type: 'MultiKrum', byzantine: 1, selected: 6 }, fewest: 7, rounds: [1, 2] },
  { configuration: { type: 'Bulyan', byzantine: 1 }, fewest: 7, rounds: [1, 2] },
  { configuration: { type: 'GeometricMedian' }, fewest: 1, rounds: [1, 2] },
  { configuration: { type: 'NormClipping', byzantine: 2 }, fewest: 5, rounds: [1, 2] },
  {
    configuration: { type: 'NormClipping', byzantine: 1, maximumNorm: 1 },
    fewest: 3,
    rounds: [clipped, 2 * clipped],
  },
]

/** Updates that differ in everything: values of many magnitudes, samples, steps, losses, staleness. */
function variedUpdates(strategy: Strategy, count: number, length: number): TestUpdate[] {
  const total = length * (1 + strategy.sections.length)
  return Array.from({ length: count }, (_, k) => ({
    participant: `node-${String(k).padStart(2, '0')}`,
    samples: 1 + ((k * 7) % 5),
    steps: 1 + ((k * 3) % 4),
    initialLoss: 0.5 + (k % 3),
    staleness: k % 4,
    values: Float32Array.from({ length: total }, (_v, i) => Math.sin(i * 0.7 + k * k) * 10 ** ((i % 7) - 3)),
  }))
}

function equalUpdates(strategy: Strategy, count: number, values: readonly number[]): TestUpdate[] {
  const all = [...values, ...strategy.sections.flatMap(() => values)]
  return Array.from({ length: count }, (_, k) => ({ participant: `node-${k}`, samples: 3, values: all }))
}

const expectSame = (got: Merged, want: Merged): void => {
  expect(sameBits(got.parameters, want.parameters)).toBe(true)
  for (const [k, vector] of want.state.entries()) expect(sameBits(got.state[k]!, vector)).toBe(true)
}

export function testStrategy(contract: ContractCase): void {
  const strategy = strategyOf(readStrategyConfiguration(contract.configuration))
  describe(JSON.stringify(contract.configuration), () => {
    testSet(strategy, contract)
    testValues(strategy, contract)
    testEngine(strategy, contract)
  })
}

function testSet(strategy: Strategy, { fewest }: ContractCase): void {
  it('gives the same bits whatever the order of arrival', async () => {
    const updates = variedUpdates(strategy, fewest + 4, 50)
    const want = await mergeInMemory({ strategy, updates, parameterCount: 50, trainableCount: 50 })
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(updates, { minLength: updates.length }), async (order) => {
        const got = await mergeInMemory({ strategy, updates: order, parameterCount: 50, trainableCount: 50 })
        expectSame(got, want)
      }),
      { numRuns: 10 },
    )
  })

  it('refuses two updates of one participant', async () => {
    const updates = equalUpdates(strategy, fewest + 1, [1])
    const twice = [...updates, updates[0]!]
    await expect(mergeInMemory({ strategy, updates: twice, parameterCount: 1 })).rejects.toThrow(
      'participant node-0 has two updates; each counts once',
    )
  })

  it('refuses fewer updates than it needs, and says how many it needs', async () => {
    const updates = equalUpdates(strategy, fewest - 1, [1])
    await expect(mergeInMemory({ strategy, updates, parameterCount: 1 })).rejects.toThrow(
      new RegExp(`^${strategy.type} .*needs at least ${fewest} updates?\\b.*; there are ${fewest - 1}$`),
    )
    expect(strategy.precondition(fewest)).toBeUndefined()
  })

  it('is changed by tiers that send means, if it does not allow tiers', async () => {
    if (strategy.allowsTiers || strategy.precondition(2) !== undefined) return
    const updates = variedUpdates(strategy, fewest + 4, 20)
    const means = [updates.slice(0, 2), updates.slice(2)].map((group, k): TestUpdate => {
      const samples = group.reduce((sum, update) => sum + update.samples!, 0)
      const values = Float32Array.from(group[0]!.values, (_, i) =>
        group.reduce((sum, update) => sum + (update.samples! * update.values[i]!) / samples, 0),
      )
      return { participant: `tier-${k}`, samples, values }
    })
    const shape = { strategy, parameterCount: 20, trainableCount: 20 }
    const flat = await mergeInMemory({ ...shape, updates })
    const tiered = await mergeInMemory({ ...shape, updates: means })
    expect([...tiered.parameters]).not.toEqual([...flat.parameters])
  })
}

function expectClose(got: Float32Array, want: readonly number[], tolerance = 1e-6): void {
  expect(got).toHaveLength(want.length)
  for (const [i, value] of want.entries()) {
    expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(value)))
  }
}

function testValues(strategy: Strategy, { fewest, rounds, state }: ContractCase): void {
  it('takes two rounds of equal updates to where its formula says, with its state carried over', async () => {
    const count = Math.max(3, fewest)
    const updates = equalUpdates(strategy, count, [1, 1, 1])
    const context = { round: 1, participants: 2 * count, learningRate: 0.1 }
    const shape = { strategy, updates, parameterCount: 3, trainableCount: 3 }
    const first = await mergeInMemory({ ...shape, context })
    expectClose(first.parameters, [rounds[0], rounds[0], rounds[0]])
    const second = await mergeInMemory({
      ...shape,
      context: { ...context, round: 2 },
      base: first.parameters,
      state: first.state,
    })
    expectClose(second.parameters, [rounds[1], rounds[1], rounds[1]])
    expect(second.state).toHaveLength(state?.length ?? 0)
    for (const [k, value] of (state ?? []).entries()) expectClose(second.state[k]!, [value, value, value])
  })

  it('makes the same of one more of the same updates', async () => {
    const values = [0.1, -3e-8, 12345.678, 7e9].map(Math.fround)
    const merged = async (count: number): Promise<Merged> =>
      mergeInMemory({
        strategy,
        updates: equalUpdates(strategy, count, values),
        parameterCount: 4,
        trainableCount: 4,
      })
    const fewer = await merged(Math.max(fewest, 2))
    expectSame(await merged(Math.max(fewest, 2) + 1), fewer)
  })

  it('leaves the parameters as they are when all updates are zeros', async () => {
    const base = Float32Array.of(1, -2.5, 3e30, 1e-42)
    const updates = equalUpdates(strategy, fewest, [0, 0, 0, 0])
    const trainableCount = strategy.sections.length > 0 ? 4 : 3
    const merged = await mergeInMemory({ strategy, updates, base, trainableCount })
    expect([...merged.parameters]).toEqual([...base])
    for (const vector of merged.state) expect(vector.every((value) => value === 0)).toBe(true)
  })

  it('makes finite parameters of finite updates, round after round', async () => {
    const value = fc.oneof(
      fc.float({ min: -1e9, max: 1e9, noNaN: true }),
      fc.constantFrom(0, 1e-45, -1e-45, 1e9, -1e9).map(Math.fround),
    )
    const length = 3 * (1 + strategy.sections.length)
    const row = fc.array(value, { minLength: length, maxLength: length })
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: fewest, maxLength: fewest + 3 }), async (rows) => {
        let last: Merged | undefined
        for (const round of [1, 2, 3]) {
          const updates = rows.map((values, k) => ({ participant: `n${k}`, samples: k + 1, values }))
          const context = { round, participants: updates.length, learningRate: 0.1 }
          const carried = last ? { base: last.parameters, state: last.state } : {}
          last = await mergeInMemory({ strategy, updates, parameterCount: 3, context, ...carried })
        }
        expect(last?.parameters.every(Number.isFinite)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })
}

/** Remembers every buffer that the engine reads into, computes with or writes from, by pass. */
class BufferCount {
  readonly passes = { measuring: new Set<ArrayBufferLike>(), combining: new Set<ArrayBufferLike>() }
  pass: 'measuring' | 'combining' = 'measuring'

  saw(...views: readonly ArrayBufferView[]): void {
    for (const view of views) this.passes[this.pass].add(view.buffer)
  }

  source(values: Float32Array, startsCombining: boolean): OpenReader {
    return async () => {
      const reader = await inMemory(values)()
      const read = async (start: number, into: Float32Array): Promise<void> => {
        if (startsCombining) this.pass = 'combining'
        this.saw(into)
        await reader.read(start, into)
      }
      return { length: reader.length, read, close: async () => reader.close() }
    }
  }

  readonly kernels: Kernels = {
    ...referenceKernels,
    accumulate: (sums, updates, weights) => {
      this.saw(sums, ...updates)
      referenceKernels.accumulate(sums, updates, weights)
    },
    addGram: (gram, updates) => {
      this.saw(...updates)
      referenceKernels.addGram(gram, updates)
    },
    sortedMean: (out, updates, range) => {
      this.saw(out, ...updates)
      referenceKernels.sortedMean(out, updates, range)
    },
    meanAroundMedian: (out, updates, count) => {
      this.saw(out, ...updates)
      referenceKernels.meanAroundMedian(out, updates, count)
    },
  }

  get mostBytes(): number {
    const bytes = Object.values(this.passes).map((pass) =>
      [...pass].reduce((sum, one) => sum + one.byteLength, 0),
    )
    return Math.max(...bytes)
  }
}

function testEngine(strategy: Strategy, { fewest }: ContractCase): void {
  it('gives the same bits whatever the length of a slice', async () => {
    const length = 2500
    const base = Float32Array.from({ length }, (_, i) => Math.cos(i))
    const shape = {
      strategy,
      base,
      trainableCount: length,
      updates: variedUpdates(strategy, fewest + 3, length),
    }
    const whole = await mergeInMemory(shape)
    expectSame(await mergeInMemory({ ...shape, memoryBytes: 1 }), whole)
    expectSame(await mergeInMemory({ ...shape, memoryBytes: 40_000 }), whole)
  })

  it.each([fewest, fewest + 20])(
    'keeps its buffers within the memory that it is given, for %i updates',
    async (count) => {
      const length = 20_000
      const memoryBytes = 128 * 1024
      const buffers = new BufferCount()
      const updates = variedUpdates(strategy, count, length)
      const sink = async (bytes: Uint8Array): Promise<void> => buffers.saw(bytes)
      await mergeUpdates({
        strategy,
        updates: updates.map(({ values, ...update }) => ({
          samples: 1,
          ...update,
          open: buffers.source(values as Float32Array, false),
        })),
        base: buffers.source(new Float32Array(length), true),
        parameterCount: length,
        trainableCount: length,
        context: { round: 1, participants: count, learningRate: 0.1 },
        kernels: buffers.kernels,
        memoryBytes,
        write: sink,
        writeState: strategy.serverState.map(() => sink),
      })
      expect(buffers.mostBytes).toBeLessThanOrEqual(memoryBytes)
      expect(buffers.mostBytes).toBeGreaterThan(memoryBytes / 20)
    },
  )

  it('stops when it is told to, before it begins and on the way', async () => {
    const updates = variedUpdates(strategy, fewest, 5000)
    const shape = { strategy, updates, parameterCount: 5000, trainableCount: 5000, memoryBytes: 1 }
    await expect(mergeInMemory({ ...shape, signal: AbortSignal.abort() })).rejects.toThrow(/abort/)
    const abort = new AbortController()
    let written = 0
    const write = async (): Promise<void> => {
      written++
      abort.abort()
    }
    await expect(mergeInMemory({ ...shape, signal: abort.signal, write })).rejects.toThrow(/abort/)
    expect(written).toBe(1)
  })
}
