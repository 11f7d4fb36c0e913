// Errors that a caller is meant to see, each with one kind that both gRPC and HTTP have a code for. Anything else
// that is thrown is the tier's own trouble: logged here, and told to the caller without its details.
import { status } from '@grpc/grpc-js'
import { ModelRefused } from '../compiler.ts'

const CODES = {
  invalid: { grpc: status.INVALID_ARGUMENT, http: 400 },
  unauthenticated: { grpc: status.UNAUTHENTICATED, http: 401 },
  forbidden: { grpc: status.PERMISSION_DENIED, http: 403 },
  missing: { grpc: status.NOT_FOUND, http: 404 },
  conflict: { grpc: status.FAILED_PRECONDITION, http: 409 },
  gone: { grpc: status.FAILED_PRECONDITION, http: 410 },
  tooLarge: { grpc: status.RESOURCE_EXHAUSTED, http: 413 },
  range: { grpc: status.OUT_OF_RANGE, http: 416 },
  refused: { grpc: status.FAILED_PRECONDITION, http: 422 },
  unavailable: { grpc: status.UNAVAILABLE, http: 503 },
  diskFull: { grpc: status.RESOURCE_EXHAUSTED, http: 507 },
} as const

export type ErrorKind = keyof typeof CODES

export class TierError extends Error {
  override name = 'TierError'
  readonly kind: ErrorKind
  /** CamelCase, for programs. */
  readonly reason: string
  /** HTTP headers that belong to the answer. */
  readonly headers: Readonly<Record<string, string>>

  constructor(kind: ErrorKind, reason: string, detail: string, headers: Record<string, string> = {}) {
    super(detail)
    this.kind = kind
    this.reason = reason
    this.headers = headers
  }

  get grpcCode(): status {
    return CODES[this.kind].grpc
  }

  get httpStatus(): number {
    return CODES[this.kind].http
  }
}

export const HUB = 'the hub'

/** Whether this machine's disk had no room. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('code' in error && error.code === 'ENOSPC') || isDiskFull(error.cause)
}

/**
 * What the caller is told about any error.
 * @param tier who answers, such as "the edge controller of zone-a"
 */
export function toTierError(error: unknown, tier: string = HUB): TierError {
  if (error instanceof TierError) return error
  if (error instanceof ModelRefused) return new TierError('refused', error.reason, error.message)
  if (isDiskFull(error)) {
    return new TierError('diskFull', 'DiskFull', `the disk of ${tier} is full`)
  }
  return new TierError('unavailable', 'InternalError', `${tier} could not do this; its log says why`)
}
