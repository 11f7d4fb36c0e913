// What the three gRPC services share: finding out who calls, and answering errors with the right status.
import { Metadata, type sendUnaryData, type ServerUnaryCall, type ServiceError } from '@grpc/grpc-js'
import type { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { REASON_TRAILER } from '#federation/wire/names.ts'
import { TierError, toTierError } from './errors.ts'
import type { Identities } from './identity.ts'
import type { ReviewedIdentity } from './identity.ts'

export function authorizationOf(metadata: Metadata): string | undefined {
  const value = metadata.get('authorization')[0]
  return typeof value === 'string' ? value : undefined
}

export function toServiceError(error: unknown, tier?: string): Partial<ServiceError> {
  const shown = toTierError(error, tier)
  const metadata = new Metadata()
  metadata.set(REASON_TRAILER, shown.reason)
  return { code: shown.grpcCode, details: shown.message, metadata }
}

export interface CallContext {
  readonly identities: Pick<Identities, 'identify'>
  readonly logger: Logger
  /** Who answers; the hub unless given. */
  readonly tier?: string
}

/** A unary method whose handler is an async function of identity and request. */
export function unary<Request, Response>(
  { identities, logger, tier }: CallContext,
  handler: (request: Request, identity: ReviewedIdentity) => Promise<Response>,
): (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => void {
  return (call, callback) => {
    const answer = async (): Promise<Response> =>
      handler(call.request, await identities.identify(authorizationOf(call.metadata)))
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => {
        logUnexpected(logger, error, call.getPath())
        callback(toServiceError(error, tier))
      },
    )
  }
}

export function logUnexpected(logger: Logger, error: unknown, path: string): void {
  if (!(error instanceof TierError)) logger.error({ err: error, path }, 'call failed')
}

/** Whether the client has gone away. A function, because it may become true at any time. */
export function isCancelled(call: { readonly cancelled: boolean }): boolean {
  return call.cancelled
}

/**
 * The messages of a stream, one after another. Leaving the loop leaves the stream open (a plain `for await` would
 * destroy it), so that an error found in a message can still be told to the client.
 */
export function messagesOf<T>(call: Readable): AsyncIterable<T> {
  return call.iterator({ destroyOnReturn: false }) as AsyncIterable<T>
}

interface WritableStream {
  readonly destroyed: boolean
  emit(event: 'error', error: Partial<ServiceError>): boolean
}

/** Ends a stream with an error status. */
export function endWithError(call: WritableStream, error: unknown, tier?: string): void {
  if (!call.destroyed) call.emit('error', toServiceError(error, tier))
}
