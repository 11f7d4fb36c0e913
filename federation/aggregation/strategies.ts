// The strategies a plan may name.
import { fedAvg } from './fed-avg.ts'
import type { AggregationStrategy } from './strategy.ts'

const strategies: readonly AggregationStrategy[] = [fedAvg]

export const strategyNames: readonly string[] = strategies.map((strategy) => strategy.name)

export function strategyByName(name: string): AggregationStrategy | undefined {
  return strategies.find((strategy) => strategy.name === name)
}
