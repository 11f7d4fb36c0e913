// The plans: one fault each, aimed at one thing that the golden trace of a scenario did. Pure.

export const WRITE_FAULTS = ['dropResponse', '409', '429', '500', 'reset', 'hang'] as const
export const EVENT_FAULTS = ['drop', 'twice', 'delay'] as const
export const READ_FAULTS = ['older', 'oldest', 'absent'] as const
export const CALL_FAULTS = ['refuse', 'loseAnswer'] as const
export const CRASHES = ['crashBefore', 'crashAfter'] as const
/** The operator dies after a write, and its successor is first shown an older list of this. */
export const STALE_LISTS = ['federatedrounds', 'edgemodels', 'pods'] as const

export type Family = 'crash' | 'apiError' | 'watch' | 'staleRead' | 'hub'

export type Aim =
  | { on: 'write'; fault: (typeof WRITE_FAULTS)[number] | (typeof CRASHES)[number] }
  | { on: 'write'; fault: 'crashAfter'; thenStale: (typeof STALE_LISTS)[number] }
  | { on: 'event'; fault: (typeof EVENT_FAULTS)[number] }
  | { on: 'read'; fault: (typeof READ_FAULTS)[number] }
  | { on: 'call'; fault: (typeof CALL_FAULTS)[number] | (typeof CRASHES)[number] }

export type Plan = Aim & { scenario: string; target: string }

export interface Trace {
  writes: string[]
  reads: string[]
  events: string[]
  calls: string[]
}

export const EMPTY_TRACE: Trace = { writes: [], reads: [], events: [], calls: [] }

/** Calls that change what the hub holds; a crash around the others is one between two writes. */
const CHANGING = /^(apply|delete|publish)/
/** Each pass calls the hub; these of many calls of a name are at different stages of what is going on. */
const CALLS = [1, 2, 4, 8, 16, 32]

export function plansFor(scenario: string, { writes, reads, events, calls }: Trace): Plan[] {
  const write = (target: string): Plan[] => [
    ...[...CRASHES, ...WRITE_FAULTS].map((fault): Plan => ({ scenario, target, on: 'write', fault })),
    ...STALE_LISTS.map((thenStale): Plan => ({
      scenario,
      target,
      on: 'write',
      fault: 'crashAfter',
      thenStale,
    })),
  ]
  const gets = reads.filter((key) => /^GET \w+\/./.test(key))
  const some = calls.filter((key) => CALLS.includes(Number(key.split('#')[1])))
  const call = (target: string): Plan[] => {
    const faults = CHANGING.test(target) ? [...CRASHES, ...CALL_FAULTS] : (['refuse'] as const)
    return faults.map((fault) => ({ scenario, target, on: 'call', fault }))
  }
  return [
    ...writes.flatMap(write),
    ...events.flatMap((target) =>
      EVENT_FAULTS.map((fault): Plan => ({ scenario, target, on: 'event', fault })),
    ),
    ...gets.flatMap((target) => READ_FAULTS.map((fault): Plan => ({ scenario, target, on: 'read', fault }))),
    ...some.flatMap(call),
  ]
}

export function familyOf(plan: Plan): Family {
  if (plan.on === 'event') return 'watch'
  if (plan.on === 'read' || 'thenStale' in plan) return 'staleRead'
  if (plan.fault === 'crashBefore' || plan.fault === 'crashAfter') return 'crash'
  return plan.on === 'call' ? 'hub' : 'apiError'
}

export function inWords(plan: Plan): string {
  const stale = 'thenStale' in plan ? `, then older ${plan.thenStale}` : ''
  return `${plan.scenario}: ${plan.fault} at ${plan.target}${stale}`
}

/** What both runs did, in the first one's order: only that can be aimed at. */
export function common(a: Trace, b: Trace): Trace {
  const both = (x: string[], y: string[]): string[] => {
    const other = new Set(y)
    return x.filter((key) => other.has(key))
  }
  return {
    writes: both(a.writes, b.writes),
    reads: both(a.reads, b.reads),
    events: both(a.events, b.events),
    calls: both(a.calls, b.calls),
  }
}

/** At most so many, evenly from every family and in a random order that the seed gives. */
export function selection(plans: readonly Plan[], count: number, seed: number): Plan[] {
  const shuffled = shuffle(plans, seed)
  const byFamily = new Map<Family, Plan[]>()
  for (const plan of shuffled) byFamily.set(familyOf(plan), [...(byFamily.get(familyOf(plan)) ?? []), plan])
  const queues = [...byFamily.values()]
  const chosen: Plan[] = []
  for (let index = 0; chosen.length < Math.min(count, plans.length); index++) {
    const next = queues[index % queues.length]?.shift()
    if (next) chosen.push(next)
  }
  return chosen
}

export function shuffle<T>(items: readonly T[], seed: number): T[] {
  const random = generator(seed)
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[result[last], result[other]] = [result[other] as T, result[last] as T]
  }
  return result
}

/** mulberry32: the same seed gives the same numbers everywhere. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
