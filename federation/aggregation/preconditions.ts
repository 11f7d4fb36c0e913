// How many updates each strategy can merge: one table, for the check when a round is planned, for the rules of the
// FederatedRound's schema, and for the engine, which checks what really arrived.
import type { StrategyConfiguration, StrategyType } from './configuration.ts'

/** A number of updates: the sum of members of the configuration, each times its factor, and of a constant. */
export interface Bound {
  readonly factors: Readonly<Record<string, number>>
  readonly constant: number
}

export interface UpdateCount {
  /** All of them must hold. */
  readonly atLeast: readonly Bound[]
  /** Absent: any number. */
  readonly atMost?: number
}

/** Strategies that compare every two updates keep a number for each pair: 8 MiB for so many. */
export const MOST_COMPARED = 1024

const bound = (factors: Record<string, number>, constant: number): Bound => ({ factors, constant })
const one: UpdateCount = { atLeast: [bound({}, 1)] }
const compared = (...atLeast: Bound[]): UpdateCount => ({ atLeast, atMost: MOST_COMPARED })

/** Sources: Yin et al. 2018 (trimmed mean), Blanchard et al. 2017 (Krum), El Mhamdi et al. 2018 (Bulyan), Allouah et al. 2023. */
export const updateCounts: Readonly<Record<StrategyType, UpdateCount>> = {
  FedAvg: one,
  FedAvgM: one,
  FedAdagrad: one,
  FedAdam: one,
  FedYogi: one,
  FedProx: one,
  Scaffold: one,
  FedNova: one,
  QFedAvg: one,
  FedDyn: one,
  FedBuff: one,
  Median: one,
  TrimmedMean: { atLeast: [bound({ trimmed: 2 }, 1)] },
  Krum: compared(bound({ byzantine: 2 }, 3)),
  // Beyond n − f updates, one of a liar would have to be among the selected.
  MultiKrum: compared(bound({ byzantine: 2 }, 3), bound({ byzantine: 1, selected: 1 }, 0)),
  Bulyan: compared(bound({ byzantine: 4 }, 3)),
  GeometricMedian: compared(bound({}, 1)),
  NormClipping: compared(bound({ byzantine: 2 }, 1)),
}

/** Why so many updates cannot be merged; undefined when they can. */
export function problemWithCount(configuration: StrategyConfiguration, updates: number): string | undefined {
  const { atLeast, atMost } = updateCounts[configuration.type]
  for (const minimum of atLeast) {
    const value = valueOf(minimum, configuration)
    if (updates < value) {
      return `${described(configuration, minimum)} needs at least ${counted(value)}${formula(minimum)}; there are ${updates}`
    }
  }
  if (atMost !== undefined && updates > atMost) {
    return `${configuration.type} compares every two updates and takes at most ${atMost}; there are ${updates}`
  }
  return undefined
}

function valueOf({ factors, constant }: Bound, configuration: StrategyConfiguration): number {
  return Object.entries(factors).reduce(
    (sum, [member, factor]) => sum + factor * memberOf(configuration, member),
    constant,
  )
}

function memberOf(configuration: StrategyConfiguration, member: string): number {
  return (configuration as unknown as Record<string, number>)[member] as number
}

function counted(updates: number): string {
  return updates === 1 ? '1 update' : `${updates} updates`
}

/** "Krum with byzantine 2" */
function described(configuration: StrategyConfiguration, { factors }: Bound): string {
  const members = Object.keys(factors).map((member) => `${member} ${memberOf(configuration, member)}`)
  return [configuration.type, ...(members.length > 0 ? ['with', members.join(' and ')] : [])].join(' ')
}

/** " (2 × byzantine + 3)" */
function formula({ factors, constant }: Bound): string {
  const terms = Object.entries(factors).map(([member, factor]) =>
    factor === 1 ? member : `${factor} × ${member}`,
  )
  if (terms.length === 0) return ''
  return ` (${[...terms, ...(constant === 0 ? [] : [String(constant)])].join(' + ')})`
}
