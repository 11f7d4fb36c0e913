import { describe, expect, it } from 'vitest'
import {
  readStrategyConfiguration,
  StrategyConfiguration,
  type StrategyConfigurationInput,
} from './configuration.ts'
import { contractCases, testStrategy } from './contract.case.ts'
import { updateCounts } from './preconditions.ts'
import { strategyOf } from './strategies.ts'
import { mergeInMemory } from './testing/merging.ts'

for (const contract of contractCases) testStrategy(contract)

const types = StrategyConfiguration.options.map((option) => option.shape.type.value)

describe('the strategies', () => {
  it.each(types)('%s is in the contract table and in the table of preconditions', (type) => {
    expect(contractCases.map(({ configuration }) => configuration.type)).toContain(type)
    expect(Object.keys(updateCounts)).toContain(type)
  })

  it.each([
    {
      configuration: { type: 'Krum', byzantine: 2 },
      updates: 6,
      said: 'Krum with byzantine 2 needs at least 7 updates (2 × byzantine + 3); there are 6',
    },
    {
      configuration: { type: 'Bulyan', byzantine: 1 },
      updates: 6,
      said: 'Bulyan with byzantine 1 needs at least 7 updates (4 × byzantine + 3); there are 6',
    },
    {
      configuration: { type: 'TrimmedMean', trimmed: 3 },
      updates: 6,
      said: 'TrimmedMean with trimmed 3 needs at least 7 updates (2 × trimmed + 1); there are 6',
    },
    {
      configuration: { type: 'MultiKrum', byzantine: 1, selected: 6 },
      updates: 6,
      said: 'MultiKrum with byzantine 1 and selected 6 needs at least 7 updates (byzantine + selected); there are 6',
    },
    {
      configuration: { type: 'NormClipping', byzantine: 3 },
      updates: 6,
      said: 'NormClipping with byzantine 3 needs at least 7 updates (2 × byzantine + 1); there are 6',
    },
    { configuration: { type: 'FedAvg' }, updates: 0, said: 'FedAvg needs at least 1 update; there are 0' },
    {
      configuration: { type: 'GeometricMedian' },
      updates: 1025,
      said: 'GeometricMedian compares every two updates and takes at most 1024; there are 1025',
    },
  ] as const)('$said', ({ configuration, updates, said }) => {
    const strategy = strategyOf(readStrategyConfiguration(configuration))
    expect(strategy.precondition(updates)).toBe(said)
  })

  it.each([
    {
      configuration: { type: 'FedNova' },
      update: { steps: 0 },
      said: 'steps of a are 0; FedNova divides by them and needs a whole number of at least 1',
    },
    {
      configuration: { type: 'QFedAvg', q: 1 },
      update: { initialLoss: NaN },
      said: 'initialLoss of a is NaN; QFedAvg needs a finite number of at least 0',
    },
    {
      configuration: { type: 'FedBuff', maxStaleness: 3 },
      update: { staleness: 4 },
      said: 'staleness of a is 4; it must be a whole number from 0 to maxStaleness 3',
    },
  ] as const)('refuse an update: $said', async ({ configuration, update, said }) => {
    const strategy = strategyOf(readStrategyConfiguration(configuration))
    const updates = [{ participant: 'a', values: [1], ...update }]
    await expect(mergeInMemory({ strategy, updates })).rejects.toThrow(said)
  })
})

describe('two liars among eleven', () => {
  const honest = Array.from({ length: 9 }, (_, k) => [0, 1, 2].map((i) => 1 + 0.3 * Math.sin(7 * k + i)))
  const mean = [0, 1, 2].map((i) => honest.reduce((sum, row) => sum + row[i]!, 0) / honest.length)
  const error = async (configuration: StrategyConfigurationInput, lies: number[][]): Promise<number> => {
    const strategy = strategyOf(readStrategyConfiguration(configuration))
    const updates = [...lies, ...honest].map((values, k) => ({ participant: `n${k}`, values }))
    const { parameters } = await mergeInMemory({ strategy, updates })
    return Math.hypot(...mean.map((value, i) => parameters[i]! - value))
  }
  const attacks = [
    {
      attack: 'shout',
      lies: [
        [1e9, 1e9, 1e9],
        [1e9, -1e9, 1e9],
      ],
    },
    { attack: 'turn the sign', lies: [mean.map((v) => -10 * v), mean.map((v) => -10 * v)] },
    {
      attack: 'hide in one value',
      lies: [
        [1, 1, 100],
        [1, 1, 100],
      ],
    },
  ]
  const robust: StrategyConfigurationInput[] = [
    { type: 'Median' },
    { type: 'TrimmedMean', trimmed: 2 },
    { type: 'Krum', byzantine: 2 },
    { type: 'MultiKrum', byzantine: 2, selected: 7 },
    { type: 'Bulyan', byzantine: 2 },
    { type: 'GeometricMedian' },
    { type: 'NormClipping', byzantine: 2 },
  ]

  it.each(attacks.flatMap((attack) => robust.map((configuration) => ({ ...attack, configuration }))))(
    'who $attack move $configuration.type by less than half of what honest nodes say',
    async ({ lies, configuration }) => {
      expect(await error(configuration, lies)).toBeLessThan(0.5 * Math.hypot(...mean))
    },
  )

  it.each(attacks)('who $attack move FedAvg by more', async ({ lies }) => {
    expect(await error({ type: 'FedAvg' }, lies)).toBeGreaterThan(Math.hypot(...mean))
  })
})

describe('a strategy configuration', () => {
  it('has defaults', () => {
    expect(readStrategyConfiguration({ type: 'FedAdam' })).toEqual({
      type: 'FedAdam',
      serverLearningRate: 0.1,
      beta1: 0.9,
      beta2: 0.99,
      tau: 1e-3,
    })
  })

  it.each([
    { value: { type: 'Krum' }, said: 'strategy.byzantine: ' },
    {
      value: { type: 'Krum', byzantine: -1 },
      said: 'strategy.byzantine: Too small: expected number to be >=0 (it is -1)',
    },
    { value: { type: 'FedAvg', mu: 1 }, said: 'Unrecognized key: "mu"' },
    { value: { type: 'Sorcery' }, said: 'strategy.type: Invalid' },
    { value: 'FedAvg', said: 'strategy: Invalid input' },
  ])('is refused by field: $said', ({ value, said }) => {
    expect(() => readStrategyConfiguration(value)).toThrow(said)
  })
})
