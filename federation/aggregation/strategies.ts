// The strategies that a plan may name, each built from its configuration.
import { bulyan } from './bulyan.ts'
import type { StrategyConfiguration } from './configuration.ts'
import { fedAdagrad } from './fed-adagrad.ts'
import { fedAdam } from './fed-adam.ts'
import { fedAvg } from './fed-avg.ts'
import { fedAvgM } from './fed-avg-m.ts'
import { fedBuff } from './fed-buff.ts'
import { fedDyn } from './fed-dyn.ts'
import { fedNova } from './fed-nova.ts'
import { fedYogi } from './fed-yogi.ts'
import { geometricMedian } from './geometric-median.ts'
import { krum, multiKrum } from './krum.ts'
import { median } from './median.ts'
import { normClipping } from './norm-clipping.ts'
import { problemWithCount } from './preconditions.ts'
import { qFedAvg } from './q-fed-avg.ts'
import { scaffold } from './scaffold.ts'
import type { MergingRule, Strategy } from './strategy.ts'
import { trimmedMean } from './trimmed-mean.ts'

type Rules = {
  readonly [Type in StrategyConfiguration['type']]: (
    configuration: Extract<StrategyConfiguration, { type: Type }>,
  ) => MergingRule
}

const rules: Rules = {
  FedAvg: fedAvg,
  FedAvgM: fedAvgM,
  FedAdagrad: fedAdagrad,
  FedAdam: fedAdam,
  FedYogi: fedYogi,
  FedProx: fedAvg,
  Scaffold: scaffold,
  FedNova: fedNova,
  QFedAvg: qFedAvg,
  FedDyn: fedDyn,
  FedBuff: fedBuff,
  Median: median,
  TrimmedMean: trimmedMean,
  Krum: krum,
  MultiKrum: multiKrum,
  Bulyan: bulyan,
  GeometricMedian: geometricMedian,
  NormClipping: normClipping,
}

export function strategyOf(configuration: StrategyConfiguration): Strategy {
  const rule = rules[configuration.type] as (configuration: StrategyConfiguration) => MergingRule
  return {
    ...rule(configuration),
    type: configuration.type,
    precondition: (updates) => problemWithCount(configuration, updates),
  }
}
