// A hub for tests of its clients: the real port (TLS, ALPN, gRPC and HTTP/1.1) with blobs and uploads in memory, and
// faults on demand: connections cut after any number of bytes, bytes changed, bodies too long, silence.
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TLSSocket, createServer as createTlsServer } from 'node:tls'

import { Server as GrpcServer, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js'

import { digestOf } from '../digest.ts'
import { type HubEndpoint, formatHubAddress } from '../endpoint.ts'
import {
  type DistributionServer,
  DistributionService,
  type Parent,
  type ParticipationServer,
  ParticipationService,
} from '../generated/tributary.ts'
import { TRANSFER_LIMIT_HEADER, UPLOAD_HEADERS, blobPath } from '../names.ts'
import { type TestCertificate, testCertificate } from './certificate.ts'

/** What is done to one request, in the order of arrival. */
export interface Fault {
  /** The connection is reset after this many bytes of the request's body. */
  readonly cutRequestAfter?: number
  /** The connection is reset after this many bytes of the response's body. */
  readonly cutResponseAfter?: number
  /** No more than this many bytes of the response's body are sent, and the connection stays. */
  readonly silentAfter?: number
  /** The byte at this place of the response's body is changed. */
  readonly flipByte?: number
  /** This many bytes follow the response's body. */
  readonly extraBytes?: number
  /** No content-length is given, so that only counting shows what arrives. */
  readonly hideLength?: boolean
  /** Nothing is answered at all. */
  readonly silent?: boolean
  readonly status?: number
  readonly title?: string
  /** The update is stored and the connection reset before the answer. */
  readonly cutBeforeAnswer?: boolean
}

export interface UploadState {
  received: Buffer
  accepted: boolean
  readonly headers: Record<string, string>
}

export interface ReceivedRequest {
  readonly method: string
  readonly path: string
  readonly token: string
  readonly range: string | undefined
  readonly offset: string | undefined
  readonly limit: string | undefined
}

interface Services {
  readonly participation?: ParticipationServer
  readonly distribution?: DistributionServer
}

export class TestHub {
  readonly blobs = new Map<string, Buffer>()
  readonly uploads = new Map<string, UploadState>()
  readonly requests: ReceivedRequest[] = []
  /** Taken one a request; then none. */
  faults: Fault[] = []
  /** Answers every upload with this problem, when set. */
  verdict: { status: number; title: string; detail: string } | undefined
  endpoint: HubEndpoint = { host: '127.0.0.1', port: 0, authority: '', readToken: async () => 'a-token' }
  readonly #sockets = new Set<TLSSocket>()
  readonly #grpc = new GrpcServer()
  #close: () => void = () => {}

  /** @param tls what it shows its clients; the hub's, with an authority of its own, unless given */
  static async start(services: Services = {}, tls?: TestCertificate): Promise<TestHub> {
    const hub = new TestHub()
    await hub.#listen(tls ?? (await testCertificate()), services)
    return hub
  }

  /** As an edge controller introduces itself. */
  parent(tier: string, epoch: number): Parent {
    const { authority: certificate } = this.endpoint
    return { tier, epoch, address: formatHubAddress(this.endpoint), certificate }
  }

  addBlob(bytes: Uint8Array): { digest: string; size: number } {
    const digest = digestOf(bytes)
    this.blobs.set(blobPath(digest), Buffer.from(bytes))
    return { digest, size: bytes.byteLength }
  }

  /** As a link that fails. */
  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.#close()
    this.#grpc.forceShutdown()
    this.cutConnections()
  }

  async #listen(tls: TestCertificate, services: Services): Promise<void> {
    if (services.participation) this.#addService(ParticipationService, services.participation)
    if (services.distribution) this.#addService(DistributionService, services.distribution)
    const injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure())
    const http = createHttpServer((request, response) => {
      const { socket } = request
      this.#handle(request, response).catch(() => socket.destroy())
    })
    const options = { key: tls.key, cert: tls.certificate, ALPNProtocols: ['h2', 'http/1.1'] }
    const server = createTlsServer(options, (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
      if (socket.alpnProtocol === 'h2') injector.injectConnection(socket)
      else http.emit('connection', socket)
    })
    server.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    this.endpoint = { ...this.endpoint, port, authority: tls.authority }
    this.#close = () => server.close()
  }

  #addService(
    service: typeof ParticipationService | typeof DistributionService,
    implementation: unknown,
  ): void {
    this.#grpc.addService(service, implementation as UntypedServiceImplementation)
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#remember(request)
    const fault = this.faults.shift() ?? {}
    if (fault.silent) return
    if (fault.status !== undefined) {
      answerProblem(response, {
        status: fault.status,
        title: fault.title ?? 'Fault',
        detail: 'as the test wants',
      })
    } else if (request.method === 'GET' || request.url?.includes('/blobs/'))
      this.#sendBlob(request, response, fault)
    else if (this.verdict) answerProblem(response, this.verdict)
    else if (request.method === 'HEAD') this.#tellOffset(request, response)
    else await this.#takeBytes(request, response, fault)
  }

  #remember({ method = '', url = '', headers }: IncomingMessage): void {
    const offset = headers[UPLOAD_HEADERS.offset]
    this.requests.push({
      method,
      path: url,
      token: (headers.authorization ?? '').replace('Bearer ', ''),
      range: headers.range,
      limit: typeof headers[TRANSFER_LIMIT_HEADER] === 'string' ? headers[TRANSFER_LIMIT_HEADER] : undefined,
      offset: typeof offset === 'string' ? offset : undefined,
    })
  }

  #sendBlob(request: IncomingMessage, response: ServerResponse, fault: Fault): void {
    const blob = this.blobs.get(request.url ?? '')
    if (!blob) {
      answerProblem(response, { status: 404, title: 'UnknownBlob', detail: 'no such blob' })
      return
    }
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const body = spoiled(blob.subarray(start), fault)
    if (start > 0) response.setHeader('content-range', `bytes ${start}-${blob.length - 1}/${blob.length}`)
    if (!fault.hideLength) response.setHeader('content-length', body.length)
    response.writeHead(start > 0 ? 206 : 200)
    if (fault.silentAfter === undefined) endOrCut(response, body, fault.cutResponseAfter ?? Infinity)
    else response.write(body.subarray(0, fault.silentAfter))
  }

  #tellOffset(request: IncomingMessage, response: ServerResponse): void {
    const state = this.uploads.get(request.url ?? '')
    response.setHeader(UPLOAD_HEADERS.offset, state?.received.length ?? 0)
    if (state?.accepted) response.setHeader(UPLOAD_HEADERS.complete, '?1')
    response.writeHead(200).end()
  }

  async #takeBytes(request: IncomingMessage, response: ServerResponse, fault: Fault): Promise<void> {
    const { headers } = request
    const state = this.#upload(request)
    if (Number(headers[UPLOAD_HEADERS.offset]) !== state.received.length) {
      response.setHeader(UPLOAD_HEADERS.offset, state.received.length)
      answerProblem(response, { status: 409, title: 'OffsetMismatch', detail: 'elsewhere' })
      return
    }
    await receive(request, state, fault.cutRequestAfter ?? Infinity)
    const complete = state.received.length === Number(headers[UPLOAD_HEADERS.length])
    if (complete) state.accepted = digestOf(state.received) === headers[UPLOAD_HEADERS.digest]
    if (fault.cutBeforeAnswer) throw new Error('cut')
    response.setHeader(UPLOAD_HEADERS.offset, state.received.length)
    if (state.accepted) response.setHeader(UPLOAD_HEADERS.complete, '?1')
    response.writeHead(state.accepted ? 201 : 204).end()
  }

  #upload({ url = '', headers }: IncomingMessage): UploadState {
    const state = this.uploads.get(url) ?? { received: Buffer.alloc(0), accepted: false, headers: {} }
    this.uploads.set(url, state)
    for (const name of Object.values(UPLOAD_HEADERS)) state.headers[name] = String(headers[name])
    return state
  }
}

function endOrCut(response: ServerResponse, body: Buffer, cutAfter: number): void {
  if (cutAfter >= body.length) response.end(body)
  else if (cutAfter === 0) response.socket?.destroy()
  else response.write(body.subarray(0, cutAfter), () => response.socket?.destroy())
}

function spoiled(bytes: Buffer, { flipByte, extraBytes }: Fault): Buffer {
  const copy = Buffer.concat([bytes, Buffer.alloc(extraBytes ?? 0)])
  if (flipByte !== undefined && flipByte < bytes.length)
    copy.writeUInt8(copy.readUInt8(flipByte) ^ 1, flipByte)
  return copy
}

/** @throws Error when the connection is to be cut */
async function receive(request: IncomingMessage, state: UploadState, cutAfter: number): Promise<void> {
  let taken = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    state.received = Buffer.concat([state.received, chunk.subarray(0, Math.max(0, cutAfter - taken))])
    taken += chunk.length
    if (taken >= cutAfter) throw new Error('cut')
  }
}

function answerProblem(
  response: ServerResponse,
  problem: { status: number; title: string; detail: string },
): void {
  response.setHeader('content-type', 'application/problem+json')
  response.writeHead(problem.status).end(JSON.stringify(problem))
}
