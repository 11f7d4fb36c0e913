// Learns the golden runs and runs plans, several at a time, each on a lane of its own.
import type { Laboratory, Lane } from './laboratory.ts'
import { common, inWords, plansFor } from './plan.ts'
import type { Plan, Trace } from './plan.ts'
import { scenarioOf } from './scenarios.ts'
import { Stage } from './stage.ts'
import type { StageOptions } from './stage.ts'
import type { State } from './state.ts'

export interface Golden {
  scenario: string
  states: Record<string, State>
  trace: Trace
}

export interface Verdict {
  plan: Plan
  /** Whether the plan's target came by; when not, nothing was shown. */
  hit: boolean
  /** Absent when the run came to the golden end. */
  failure?: string
  ms: number
}

export interface Patience {
  patienceMs: number
  requestTimeoutMs: number
}

/** Two runs without a fault: what both did can be aimed at, and both must come to the same end. */
export async function learn(
  laboratory: Laboratory,
  scenarios: readonly string[],
  patience: Patience,
): Promise<Golden[]> {
  return inLanes(laboratory, scenarios, async (scenario, lane) => {
    const first = await rehearse({ laboratory, lane, ...patience }, scenario)
    const second = await rehearse({ laboratory, lane, ...patience, golden: first.states }, scenario)
    return { scenario, states: first.states, trace: common(first.trace, second.trace) }
  })
}

/** A run without a fault; with golden states it is held against them. */
export async function rehearse(options: StageOptions, scenario: string): Promise<Golden> {
  const stage = await Stage.open(options)
  try {
    await scenarioOf(scenario).play(stage)
    if (stage.safety.violations.size > 0) throw new Error([...stage.safety.violations].join('; '))
    return { scenario, states: stage.states, trace: stage.trace }
  } catch (error) {
    throw new Error(`${scenario}, without any fault: ${explained(error, stage)}`, { cause: error })
  } finally {
    await stage.close()
  }
}

export function allPlans(golden: readonly Golden[]): Plan[] {
  return golden.flatMap(({ scenario, trace }) => plansFor(scenario, trace))
}

export interface RunOptions extends Patience {
  laboratory: Laboratory
  golden: readonly Golden[]
  /** Told of each verdict; the run ends early when it says so. */
  onVerdict: (verdict: Verdict) => 'go on' | 'stop'
}

export async function runPlans(plans: readonly Plan[], options: RunOptions): Promise<Verdict[]> {
  let isOver = false
  const verdicts = await inLanes(options.laboratory, plans, async (plan, lane) => {
    if (isOver) return []
    const verdict = await runPlan(plan, lane, options)
    if (options.onVerdict(verdict) === 'stop') isOver = true
    return [verdict]
  })
  return verdicts.flat()
}

/** A target that did not come by, for timing, is given another chance. */
async function runPlan(plan: Plan, lane: Lane, options: RunOptions): Promise<Verdict> {
  const first = await attempt(plan, lane, options)
  return first.hit || first.failure !== undefined ? first : attempt(plan, lane, options)
}

async function attempt(plan: Plan, lane: Lane, options: RunOptions): Promise<Verdict> {
  const { laboratory, golden, patienceMs, requestTimeoutMs } = options
  const states = golden.find(({ scenario }) => scenario === plan.scenario)?.states
  if (!states) throw new Error(`${inWords(plan)}: there is no golden run of ${plan.scenario}`)
  const startedAt = performance.now()
  const stage = await Stage.open({ laboratory, lane, plan, golden: states, patienceMs, requestTimeoutMs })
  let failure: string | undefined
  try {
    await scenarioOf(plan.scenario).play(stage)
    if (stage.safety.violations.size > 0) failure = [...stage.safety.violations].join('; ')
  } catch (error) {
    failure = explained(error, stage)
  } finally {
    await stage.close()
  }
  const verdict = { plan, hit: stage.hit, ms: Math.round(performance.now() - startedAt) }
  return failure === undefined ? verdict : { ...verdict, failure }
}

function explained(error: unknown, stage: Stage): string {
  const said = [...stage.safety.violations, ...stage.troubles.slice(-2)].map((each) => each.slice(0, 400))
  return [error instanceof Error ? error.message : String(error), ...said].join('; ')
}

async function inLanes<Work, Result>(
  laboratory: Laboratory,
  work: readonly Work[],
  perform: (each: Work, lane: Lane) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const left = work.entries()
  await Promise.all(
    laboratory.lanes.map(async (lane) => {
      for (const [index, each] of left) results[index] = await perform(each, lane)
    }),
  )
  return results
}
