// One HTTP/1.1 request over TLS to the hub or an edge controller: what its endpoint trusts and nothing else, the endpoint's fixed
// server name, the bearer token of this moment, and a watchdog that ends a connection on which too few bytes move, so that no peer can hold a caller for ever.
import { once } from 'node:events'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import type { Readable, Writable } from 'node:stream'

import { z } from 'zod'

import { type HubEndpoint, serverIdentity } from './endpoint.ts'
import { TRANSFER_LIMIT_HEADER } from './names.ts'
import type { Pacer } from './pacer.ts'

const MAXIMUM_PROBLEM_BYTES = 64 * 1024

/** Fewer than this many bytes in any window of this length, and the connection is given up. */
export interface Pace {
  readonly windowMs: number
  readonly minimumBytes: number
}

/** With the time between two looks, a connection that is dead in one direction is given up within 28 s. */
export const DEFAULT_PACE: Pace = { windowMs: 24_000, minimumBytes: 1024 }
/** How often in a window the bytes are looked at. */
export const LOOKS_IN_A_WINDOW = 6
/** A kept connection that nothing is asked on is probed by the system after this time, so that few requests begin on a dead one. */
const PROBE_IDLE_MS = 15_000

export interface HubRequest {
  readonly method: 'GET' | 'HEAD' | 'PATCH'
  readonly path: string
  readonly headers?: Record<string, string>
  /** Writes the body, no faster than the pacer says; `content-length` must be among the headers. */
  readonly body?: (outgoing: Writable, pacer: Pacer | undefined) => Promise<void>
  readonly signal: AbortSignal
  readonly pace?: Pace
}

/** What the hub says of a request that it did not grant (RFC 9457). */
export interface Problem {
  readonly title: string
  readonly detail: string
}

/** What carries requests: one connection's owner, or something that chooses among several. */
export type Sender = Pick<HubHttp, 'send'>

export interface HubHttpOptions {
  /** Of all bodies that are sent; each that is fetched is asked for at the same speed. Without it, as fast as the link. */
  readonly pacer?: Pacer | undefined
}

/** Keeps connections for the requests that follow one another. The caller destroys it. */
export class HubHttp {
  readonly #hub: HubEndpoint
  readonly #serverName: string
  readonly #agent: Agent
  readonly #pacer: Pacer | undefined

  constructor(hub: HubEndpoint, { pacer }: HubHttpOptions = {}) {
    this.#hub = hub
    this.#pacer = pacer
    const identity = serverIdentity(hub)
    this.#serverName = identity.servername
    this.#agent = new Agent({
      keepAlive: true,
      keepAliveMsecs: PROBE_IDLE_MS,
      maxSockets: 4,
      ...identity,
      ALPNProtocols: ['http/1.1'],
    })
  }

  /** Resolves at the response's head; its body is the caller's to read or destroy, within the same watchdog. */
  async send(hubRequest: HubRequest): Promise<IncomingMessage> {
    const token = await this.#hub.readToken()
    hubRequest.signal.throwIfAborted()
    const outgoing = request({
      host: this.#hub.host,
      port: this.#hub.port,
      agent: this.#agent,
      method: hubRequest.method,
      path: hubRequest.path,
      signal: hubRequest.signal,
      headers: {
        ...hubRequest.headers,
        ...this.#limit(hubRequest),
        host: this.#serverName,
        authorization: `Bearer ${token}`,
      },
    })
    watchPace(outgoing, hubRequest.pace ?? DEFAULT_PACE)
    const { body } = hubRequest
    return await exchange(outgoing, body && (async () => body(outgoing, this.#pacer)))
  }

  #limit({ method }: HubRequest): Record<string, string> {
    const limit = method === 'GET' ? this.#pacer?.bytesPerSecond : undefined
    return limit === undefined ? {} : { [TRANSFER_LIMIT_HEADER]: String(limit) }
  }

  destroy(): void {
    this.#agent.destroy()
  }
}

/** The first of: a response, or the failure of either direction. A hub may answer before it has read everything. */
async function exchange(
  outgoing: ClientRequest,
  body: (() => Promise<void>) | undefined,
): Promise<IncomingMessage> {
  const answered = once(outgoing, 'response')
  // A connection may still break once the response is there: that shows on the response's own stream.
  outgoing.on('error', () => {})
  if (body) {
    const fail = (error: Error): void => void outgoing.destroy(error)
    body().then(() => outgoing.end(), fail)
  } else outgoing.end()
  const [response] = (await answered) as [IncomingMessage]
  response.once('close', () => {
    if (!outgoing.writableFinished) outgoing.destroy()
  })
  return response
}

function watchPace(outgoing: ClientRequest, pace: Pace): void {
  const moved = () => (outgoing.socket ? outgoing.socket.bytesRead + outgoing.socket.bytesWritten : 0)
  /** What had moved at each look of the window, oldest first. */
  let looks = [0]
  outgoing.once('socket', () => {
    looks = looks.map(moved)
  })
  const timer = setInterval(() => {
    looks.push(moved())
    if (looks.length <= LOOKS_IN_A_WINDOW) return
    const [before = 0] = looks.splice(0, 1)
    if (moved() - before >= pace.minimumBytes) return
    const limit = `${pace.minimumBytes} bytes in ${pace.windowMs / 1000} s`
    outgoing.destroy(new Error(`the connection stalled: fewer than ${limit} moved`))
  }, pace.windowMs / LOOKS_IN_A_WINDOW)
  outgoing.once('close', () => {
    clearInterval(timer)
  })
}

/** Reads a response that is not a success. Never throws: the status alone is worth reporting. */
export async function readProblem(response: IncomingMessage): Promise<Problem> {
  const unnamed = {
    title: `Status${response.statusCode ?? 0}`,
    detail: 'the hub gave no further explanation',
  }
  try {
    const text = await readBounded(response, MAXIMUM_PROBLEM_BYTES)
    const parsed = ProblemBody.safeParse(JSON.parse(text.toString('utf8')))
    return parsed.success ? parsed.data : unnamed
  } catch {
    return unnamed
  } finally {
    response.destroy()
  }
}

const ProblemBody = z.object({ title: z.string().max(256), detail: z.string().max(8192).default('') })

async function readBounded(stream: Readable, maximum: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    size += (chunk as Buffer).length
    if (size > maximum) throw new Error(`more than ${maximum} bytes`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

/** A header that is a decimal number of bytes; undefined when it is absent or anything else. */
export function byteCountHeader(headers: IncomingHttpHeaders, name: string): number | undefined {
  const value = headers[name]
  if (typeof value !== 'string' || !/^\d{1,15}$/.test(value)) return undefined
  return Number(value)
}
