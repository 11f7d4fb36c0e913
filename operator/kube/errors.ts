// One error for whatever goes wrong between us and the API server, so that callers can tell "look again" (409),
// "come back later" (429, 5xx, no answer) and "this will never work" (other 4xx) apart.

/** Reasons that have no HTTP status of their own; `status` is 0 there. */
export type LocalReason =
  'ConnectionFailed' | 'Timeout' | 'ResponseTooLarge' | 'MalformedResponse' | 'NotLeader' | 'Aborted'

export interface ApiErrorInit {
  status: number
  reason: string
  message: string
  retryAfterMs?: number | undefined
  cause?: unknown
}

export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** The HTTP status, or 0 when no usable answer came. */
  readonly status: number
  /** `reason` of the API server's Status object, or a LocalReason. */
  readonly reason: string
  readonly retryAfterMs: number | undefined

  constructor(init: ApiErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause })
    this.status = init.status
    this.reason = init.reason
    this.retryAfterMs = init.retryAfterMs
  }

  /** Someone else wrote in between, or made the object first: read again, decide again. */
  get isConflict(): boolean {
    return this.status === 409
  }

  get isNotFound(): boolean {
    return this.status === 404
  }

  /** The resourceVersion or continue token is too old: list again. */
  get isExpired(): boolean {
    return this.status === 410
  }
}

export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.isConflict
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
