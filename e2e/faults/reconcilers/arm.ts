// Makes the one thing go wrong that a plan names. Everything is named by the tracker as it happens; the fault strikes
// when the plan's target comes by.
import type { FaultProxy } from '#operator/kube/testing/fault-proxy.ts'
import type { EventFate, Fault, ProxiedRequest } from '#operator/kube/testing/fault-rules.ts'
import { isWatch } from '#operator/kube/testing/fault-rules.ts'
import type { History } from './history.ts'
import type { HubFate } from './hub-port.ts'
import type { Plan } from './plan.ts'
import { parsePath } from './tracker.ts'
import type { Tracker } from './tracker.ts'

/** Long enough that what happens meanwhile is missed, short enough for many plans. */
const LOST_FOR_MS = 120
const DELAY_MS = 1_000
/** Changes by which an older list is behind. */
const LIST_BEHIND = 3

export interface Armed {
  readonly hit: boolean
  /** An event is held back: what the operator does about it is still to come. */
  readonly isHolding: boolean
  /** What becomes of a call to the hub. */
  call: (method: string, detail: string) => HubFate
}

export interface Parts {
  proxy: FaultProxy
  tracker: Tracker
  history: History
  crash: () => void
}

export function arm(plan: Plan | undefined, parts: Parts): Armed {
  const { proxy, tracker } = parts
  let isHit = false
  const holding = new Holding()
  const strikes = (on: Plan['on'], key: string): boolean => {
    if (isHit || plan?.on !== on || plan.target !== key) return false
    isHit = true
    return true
  }
  proxy.add({
    match: { watch: true },
    fault: {
      kind: 'events',
      fate: (event) => (strikes('event', tracker.event(event)) ? fateOf(plan, holding) : 'pass'),
    },
  })
  // One rule for each fault that the plan has; the request is named once, before any of them is asked.
  let named = ''
  proxy.add({
    match: {
      watch: false,
      request: (request) => {
        named = tracker.request(request)
        return false
      },
    },
    fault: { kind: 'reset' },
  })
  const target = plan?.on === 'write' || plan?.on === 'read' ? plan : undefined
  if (target) {
    const fault: Fault[] = []
    proxy.add({
      match: {
        watch: false,
        request: (request) => {
          if (!strikes(target.on, named)) return false
          fault.push(faultOf(target, request, parts))
          return true
        },
      },
      fault: lazily(() => fault[0]),
      times: 1,
    })
  }
  return {
    get hit() {
      return isHit
    },
    get isHolding() {
      return holding.isHolding
    },
    call: (method, detail) => {
      const key = tracker.call(method, detail)
      return plan?.on === 'call' && strikes('call', key) ? plan.fault : 'pass'
    },
  }
}

/** A fault that is only known when it strikes. */
function lazily(fault: () => Fault | undefined): Fault {
  return new Proxy(
    { kind: 'reset' },
    {
      get: (empty, field) => Reflect.get(fault() ?? empty, field) as unknown,
    },
  )
}

/** Knows until when an event is held back. */
class Holding {
  #until = 0

  begin(milliseconds: number): void {
    this.#until = performance.now() + milliseconds
  }

  get isHolding(): boolean {
    return performance.now() < this.#until
  }
}

function fateOf(plan: Plan | undefined, holding: Holding): EventFate {
  switch (plan?.fault) {
    case 'drop':
      return { lostForMs: LOST_FOR_MS }
    case 'delay':
      holding.begin(DELAY_MS)
      return { delayMs: DELAY_MS }
    case 'twice':
      return 'twice'
    default:
      return 'pass'
  }
}

type Target = Plan & { on: 'write' | 'read' }

function faultOf(plan: Target, request: ProxiedRequest, { proxy, history, crash }: Parts): Fault {
  if (plan.on === 'read') return olderRead(plan.fault, request, history)
  switch (plan.fault) {
    case '409':
      return { kind: 'status', status: 409, reason: 'Conflict' }
    case '429':
      return { kind: 'status', status: 429, retryAfterSeconds: 1 }
    case '500':
      return { kind: 'status', status: 500 }
    case 'crashBefore':
      return { kind: 'crash', committed: false, crash }
    case 'crashAfter': {
      const stale = 'thenStale' in plan ? plan.thenStale : undefined
      const crashIntoThePast = (): void => {
        if (stale) showOlderList(stale, proxy, history)
        crash()
      }
      return { kind: 'crash', committed: true, crash: crashIntoThePast }
    }
    default:
      return { kind: plan.fault }
  }
}

function olderRead(
  fault: (Plan & { on: 'read' })['fault'],
  { path }: ProxiedRequest,
  history: History,
): Fault {
  const { resource, name } = parsePath(path)
  const body =
    fault === 'absent' ? undefined : history.olderObject(resource, name, fault === 'older' ? 1 : Infinity)
  return body ? { kind: 'answer', body } : { kind: 'status', status: 404, reason: 'NotFound' }
}

/** The next list of the resource is the one of some changes ago; the watch after it tells what followed. */
function showOlderList(resource: string, proxy: FaultProxy, history: History): void {
  const body = history.olderList(resource, LIST_BEHIND)
  if (!body) return
  proxy.add({
    match: {
      method: 'GET',
      request: ({ path }) => !isWatch(path) && isListOf(path, resource),
    },
    fault: { kind: 'answer', body },
    times: 1,
  })
}

function isListOf(path: string, resource: string): boolean {
  const parsed = parsePath(path)
  return parsed.resource === resource && parsed.name === ''
}
