// The watch as an explicit state machine.

export interface WatchTiming {
  /** Objects a list page. */
  pageSize: number
  serverTimeoutSeconds: number
  idleTimeoutMs: number
  backOffMinMs: number
  backOffMaxMs: number
  /** A stream that lived for this long was a good one: the next failure starts from the smallest back-off. */
  healthyAfterMs: number
}
