// A reverse proxy between a client and a real kube-apiserver that makes requests go wrong on demand. It terminates
// TLS with a certificate of its own and speaks to the server with the credentials of the given kubeconfig, unless
// the client brings a bearer token. Everything that passes is recorded.

import * as https from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { KubeConfig } from '@kubernetes/client-node'
import { isWatch, Rules } from './fault-rules.ts'
import type { ActiveRule, Fault, ProxiedRequest, Rule, WatchedEvent } from './fault-rules.ts'
import { forwardWatch } from './fault-stream.ts'
import { selfSigned } from './self-signed.ts'

export interface FaultProxyOptions {
  /** The path and query that the server gets instead of the client's. */
  rewrite?: (path: string) => string
  /** Told of each answer of the server, whatever the client gets; not of watches. */
  answered?: (request: ProxiedRequest, answer: { status: number; body: Buffer }) => void
  /** Told of each event of a watch that the server sent, whatever the client gets. */
  watched?: (path: string, event: WatchedEvent) => void
}

export interface SeenRequest {
  method: string
  path: string
  /** The status that the client got; 0 when it got none. */
  status: number
  fault?: Fault['kind']
}

export interface FaultProxy {
  readonly url: string
  /** For clients that go through the proxy. */
  readonly kubeConfig: KubeConfig
  readonly requests: SeenRequest[]
  /** Requests other than GET that the server committed. */
  writes(): SeenRequest[]
  add(rule: Rule): ActiveRule
  clear(): void
  /** Resets every open connection. */
  resetAll(): void
  /** The network is gone: open connections fall silent, new requests hang. */
  freeze(): void
  thaw(): void
  close(): Promise<void>
}

const MAX_BODY_BYTES = 16 * 1024 * 1024

export async function startFaultProxy(
  upstream: KubeConfig,
  nowMs = Date.now(),
  options: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const { certificate, key } = await selfSigned(nowMs)
  const proxy = new Proxy(await upstreamOf(upstream), options)
  const server = https.createServer({ cert: certificate, key }, (request, response) => {
    proxy.handle(request, response).catch(() => {
      proxy.reset(request)
    })
  })
  server.on('connection', (socket: Socket) => {
    proxy.track(socket)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`
  return {
    url,
    kubeConfig: kubeConfigFor(url, certificate),
    requests: proxy.requests,
    writes: () =>
      proxy.requests.filter(({ method, status }) => method !== 'GET' && status >= 200 && status < 300),
    add: (rule) => proxy.rules.add(rule),
    clear: () => {
      proxy.rules.clear()
    },
    resetAll: () => {
      proxy.resetAll()
    },
    freeze: () => {
      proxy.frozen = true
    },
    thaw: () => {
      proxy.frozen = false
      proxy.resetAll()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        proxy.resetAll()
        proxy.closeUpstream()
      }),
  }
}

function kubeConfigFor(server: string, certificate: string): KubeConfig {
  const kubeConfig = new KubeConfig()
  const caData = Buffer.from(certificate).toString('base64')
  kubeConfig.loadFromClusterAndUser(
    { name: 'proxy', server, caData, skipTLSVerify: false },
    { name: 'proxy' },
  )
  return kubeConfig
}

interface Upstream {
  server: URL
  /** With the administrator's certificate, and without any for requests that bring a token. */
  administrator: https.Agent
  anonymous: https.Agent
}

async function upstreamOf(kubeConfig: KubeConfig): Promise<Upstream> {
  const options: https.RequestOptions = {}
  await kubeConfig.applyToHTTPSOptions(options)
  const { ca, cert, key } = options
  const server = new URL(kubeConfig.getCurrentCluster()?.server ?? '')
  return {
    server,
    administrator: new https.Agent({ keepAlive: true, ca, cert, key }),
    anonymous: new https.Agent({ keepAlive: true, ca }),
  }
}

class Proxy {
  readonly rules = new Rules()
  readonly requests: SeenRequest[] = []
  frozen = false
  readonly #upstream: Upstream
  readonly #options: FaultProxyOptions
  /** The TCP sockets below TLS, by the client's port: only these can send a reset. */
  readonly #sockets = new Map<number, Socket>()

  constructor(upstream: Upstream, options: FaultProxyOptions) {
    this.#upstream = upstream
    this.#options = options
  }

  track(socket: Socket): void {
    const port = socket.remotePort ?? 0
    this.#sockets.set(port, socket)
    socket.once('close', () => this.#sockets.delete(port))
    socket.on('error', () => undefined)
  }

  reset(request: IncomingMessage): void {
    this.#sockets.get(request.socket.remotePort ?? -1)?.resetAndDestroy()
  }

  resetAll(): void {
    for (const socket of this.#sockets.values()) socket.resetAndDestroy()
  }

  closeUpstream(): void {
    this.#upstream.administrator.destroy()
    this.#upstream.anonymous.destroy()
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const proxied = await proxiedRequest(request)
    const { seen, fault } = this.#record(proxied)
    if (this.frozen) return
    if (fault && this.#answersInstead(fault, request, response)) {
      if (fault.kind === 'status') seen.status = fault.status
      return
    }
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, fault.ms))
    const answer = await this.#send(request, proxied, response)
    seen.status = answer.statusCode ?? 0
    const exchange = { request, proxied, response, answer, fault }
    if (isWatch(seen.path) && seen.status === 200) await this.#forwardWatch(exchange)
    else await this.#forward(exchange)
  }

  #record(request: ProxiedRequest): { seen: SeenRequest; fault: Fault | undefined } {
    const { method, path } = request
    const fault = this.rules.faultFor(request)
    const seen: SeenRequest = { method, path, status: 0, ...(fault ? { fault: fault.kind } : {}) }
    this.requests.push(seen)
    return { seen, fault }
  }

  /** True when the request does not reach the server. */
  #answersInstead(fault: Fault, request: IncomingMessage, response: ServerResponse): boolean {
    switch (fault.kind) {
      case 'reset':
        this.reset(request)
        return true
      case 'status':
        sendStatus(response, fault)
        return true
      case 'answer':
        response.writeHead(200, { 'content-type': 'application/json' }).end(fault.body)
        return true
      case 'crash':
        if (!fault.committed) fault.crash()
        return !fault.committed
      default:
        return fault.kind === 'hang'
    }
  }

  #send(
    request: IncomingMessage,
    { method, path, body }: ProxiedRequest,
    response: ServerResponse,
  ): Promise<IncomingMessage> {
    const { server, administrator, anonymous } = this.#upstream
    const { host: _host, connection: _connection, ...headers } = request.headers
    const agent = headers.authorization ? anonymous : administrator
    return new Promise((resolve, reject) => {
      const url = new URL(this.#options.rewrite?.(path) ?? path, server)
      const outgoing = https.request(url, { method, headers, agent }, resolve)
      outgoing.on('error', reject)
      // The client went away: a watch on the server's side must end, too.
      response.once('close', () => outgoing.destroy())
      outgoing.end(body)
    })
  }

  async #forwardWatch({ request, proxied, response, answer, fault }: Exchange): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    await forwardWatch(answer, response, {
      fault,
      isFrozen: () => this.frozen,
      reset: () => {
        this.reset(request)
      },
      seen: (event) => this.#options.watched?.(proxied.path, event),
    })
  }

  async #forward({ request, proxied, response, answer, fault }: Exchange): Promise<void> {
    const body = await readAll(answer)
    this.#options.answered?.(proxied, { status: answer.statusCode ?? 0, body })
    if (this.frozen) return
    if (fault?.kind === 'crash') {
      fault.crash()
      return
    }
    if (fault?.kind === 'dropResponse') {
      this.reset(request)
      return
    }
    const { 'transfer-encoding': _encoding, connection: _connection, ...headers } = answer.headers
    response.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': body.length })
    if (fault?.kind === 'truncate')
      response.write(body.subarray(0, fault.bytes), () => request.socket.destroy())
    else response.end(body)
  }
}

interface Exchange {
  request: IncomingMessage
  proxied: ProxiedRequest
  response: ServerResponse
  answer: IncomingMessage
  fault: Fault | undefined
}

async function proxiedRequest(request: IncomingMessage): Promise<ProxiedRequest> {
  const { method = 'GET', url: path = '/' } = request
  return { method, path, body: await readAll(request) }
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new Error(`body larger than ${String(MAX_BODY_BYTES)} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function sendStatus(response: ServerResponse, fault: Fault & { kind: 'status' }): void {
  const { status, retryAfterSeconds } = fault
  const reason = fault.reason ?? { 410: 'Expired', 429: 'TooManyRequests' }[status] ?? 'InternalError'
  const body = {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    message: 'by the proxy',
    reason,
    code: status,
  }
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (retryAfterSeconds !== undefined) headers['retry-after'] = String(retryAfterSeconds)
  response.writeHead(status, headers)
  response.end(JSON.stringify(body))
}
