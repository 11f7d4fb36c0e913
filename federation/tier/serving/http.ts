// The HTTP half of a tier's port: finds the route, and turns every error into application/problem+json.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { MAXIMUM_CHUNK_BYTES } from '#federation/wire/names.ts'
import { TierError, toTierError } from './errors.ts'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

export interface UpdateKey {
  readonly campaign: string
  readonly round: number
  readonly participant: string
}

export interface Routes {
  blob(exchange: Exchange, digest: string): Promise<void>
  update(exchange: Exchange, key: UpdateKey): Promise<void>
}

const BLOB = /^\/v1alpha1\/blobs\/sha256\/([0-9a-f]{64})$/
const UPDATE = /^\/v1alpha1\/campaigns\/([^/]{1,256})\/rounds\/([1-9][0-9]{0,8})\/updates\/([^/]{1,1024})$/

/** @param tier who answers; the hub unless given */
export function httpListener(routes: Routes, logger: Logger, tier?: string): RequestListener {
  return (request, response) => {
    const exchange = { request, response }
    // A client that goes away is told nothing; whoever reads or writes the body sees it too.
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    route(routes, exchange).catch((error: unknown) => {
      if (!(error instanceof TierError))
        logger.error({ err: error, method: request.method }, 'request failed')
      sendProblem(exchange, toTierError(error, tier))
    })
  }
}

async function route(routes: Routes, exchange: Exchange): Promise<void> {
  const path = exchange.request.url ?? ''
  const blob = BLOB.exec(path)
  if (blob?.[1]) return routes.blob(exchange, `sha256:${blob[1]}`)
  const update = UPDATE.exec(path)
  if (update?.[1] && update[2] && update[3]) {
    const [campaign, participant] = [decode(update[1]), decode(update[3])]
    return routes.update(exchange, { campaign, round: Number(update[2]), participant })
  }
  throw new TierError('missing', 'UnknownPath', `there is nothing at ${path.slice(0, 200)}`)
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new TierError('missing', 'UnknownPath', 'the path is not validly percent-encoded')
  }
}

export function sendProblem({ request, response }: Exchange, error: TierError): void {
  if (response.destroyed) return
  if (response.headersSent) {
    response.destroy()
    return
  }
  const draining = drain(request, response)
  const status = error.httpStatus
  const body = JSON.stringify({ title: error.reason, detail: error.message, status })
  const challenge = status === 401 ? { 'www-authenticate': 'Bearer' } : {}
  response.writeHead(status, {
    ...error.headers,
    ...challenge,
    ...(!draining && { connection: 'close' }),
    'content-type': 'application/problem+json',
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/**
 * Reads and drops the rest of a body, else a client that is still sending may never see the answer. A body without an
 * end in sight is cut off instead.
 */
function drain(request: IncomingMessage, response: ServerResponse): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers
  const isBounded = encoding === undefined && Number(length) <= MAXIMUM_CHUNK_BYTES
  if (isBounded) request.resume()
  else response.once('finish', () => request.destroy())
  return isBounded
}

export function requireMethod({ request }: Exchange, allowed: readonly string[]): string {
  const method = request.method ?? ''
  if (allowed.includes(method)) return method
  throw new TierError('invalid', 'MethodNotAllowed', `${method} is not one of ${allowed.join(', ')}`)
}
