// Which requests go wrong, and how. Rules are asked in the order in which they were added; the first that matches
// and is not used up applies.

export type Fault =
  /** The connection is reset before the request reaches the server. */
  | { kind: 'reset' }
  /** The proxy answers instead of the server. */
  | { kind: 'status'; status: number; reason?: string; retryAfterSeconds?: number }
  /** The request is swallowed; the connection stays open and silent. */
  | { kind: 'hang' }
  | { kind: 'delay'; ms: number }
  /** The server does its work; then the connection is reset instead of answering. */
  | { kind: 'dropResponse' }
  /** The answer is cut after this many bytes. */
  | { kind: 'truncate'; bytes: number }
  /** A watch goes well for some events, and then this happens. */
  | { kind: 'stream'; afterEvents: number; then: StreamEnd }
  /** Each event of a watch comes twice. */
  | { kind: 'duplicateEvents' }
  /** Events of these types never arrive. */
  | { kind: 'suppressEvents'; types: string[] }
  /** Of each event of a watch is decided alone what becomes of it. */
  | { kind: 'events'; fate: (event: WatchedEvent) => EventFate }
  /** The client dies: before the server sees the request, or when it has done its work. */
  | { kind: 'crash'; committed: boolean; crash: () => void }
  /** The proxy answers 200 with this body instead of the server, as one that has not caught up would. */
  | { kind: 'answer'; body: Buffer }

export interface WatchedEvent {
  type: string
  object: { kind?: string; metadata?: { name?: string; namespace?: string; uid?: string } }
}

export type EventFate =
  | 'pass'
  | 'twice'
  /** It and what follows come this much later. */
  | { delayMs: number }
  /** It and what follows in this time never arrive; then the version that the client has seen is too old. */
  | { lostForMs: number }

export type StreamEnd =
  /** The regular end of the stream. */
  | 'end'
  /** The connection is closed in mid-stream. */
  | 'close'
  | 'reset'
  /** Half-open: nothing comes any more. */
  | 'hang'
  /** An ERROR event, then the regular end. */
  | { errorEvent: number }
  /** These bytes, and nothing more. */
  | { raw: string }

/** What a rule can look at. */
export interface ProxiedRequest {
  method: string
  /** Path and query, as the client sent them. */
  path: string
  body: Buffer
}

export interface Match {
  method?: string
  /** Path and query. */
  path?: RegExp
  watch?: boolean
  request?: (request: ProxiedRequest) => boolean
}

export interface Rule {
  match: Match
  fault: Fault
  /** Matching requests that are let through first. */
  skip?: number
  /** Requests that the rule applies to; all unless told. */
  times?: number
}

export interface ActiveRule {
  /** Requests that it was applied to. */
  readonly hits: number
  remove(): void
}

interface Entry {
  rule: Rule
  seen: number
  hits: number
}

export class Rules {
  readonly #entries = new Set<Entry>()

  add(rule: Rule): ActiveRule {
    const entry: Entry = { rule, seen: 0, hits: 0 }
    this.#entries.add(entry)
    return {
      get hits() {
        return entry.hits
      },
      remove: () => {
        this.#entries.delete(entry)
      },
    }
  }

  clear(): void {
    this.#entries.clear()
  }

  faultFor(request: ProxiedRequest): Fault | undefined {
    for (const entry of this.#entries) {
      const { match, fault, skip = 0, times = Infinity } = entry.rule
      if (!matches(match, request)) continue
      entry.seen += 1
      if (entry.seen <= skip || entry.hits >= times) continue
      entry.hits += 1
      return fault
    }
    return undefined
  }
}

export function isWatch(path: string): boolean {
  return /[?&]watch=(true|1)(&|$)/.test(path)
}

function matches(match: Match, request: ProxiedRequest): boolean {
  const { method, path } = request
  if (match.method !== undefined && match.method !== method) return false
  if (match.watch !== undefined && match.watch !== isWatch(path)) return false
  if (match.path?.test(path) === false) return false
  return match.request?.(request) ?? true
}
