// One TLS port for calls and bytes: the client's ALPN choice decides. `h2` connections go to grpc-js, `http/1.1`
// connections to node:http, both behind the same handshake limits. Dead peers are noticed by pings (gRPC) and idle
// limits (HTTP), so that a half-open connection never holds anything for long.
import { Server as GrpcServer, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls'
import { MAXIMUM_MESSAGE_BYTES } from '#federation/wire/names.ts'

export interface MuxOptions {
  readonly key: string
  readonly certificate: string
  /** Undefined: all addresses, of both families where the machine has both. */
  readonly host: string | undefined
  readonly port: number
  readonly services: readonly {
    definition: Parameters<GrpcServer['addService']>[0]
    implementation: UntypedServiceImplementation
  }[]
  readonly onRequest: RequestListener
  readonly keepaliveMs: number
  /** How long an HTTP connection may take to say what it wants. */
  readonly idleMs: number
  readonly onConnectionError: (error: Error) => void
}

export interface MuxServer {
  readonly port: number
  close(): Promise<void>
}

const HANDSHAKE_TIMEOUT_MS = 10_000
const MAXIMUM_HEADER_BYTES = 32 * 1024
const MAXIMUM_STREAMS_PER_CONNECTION = 100
const MAXIMUM_CONNECTIONS = 20_000
/** Identity is checked when a stream opens; ending connections after this time has it checked again. */
const LONGEST_CONNECTION_MS = 30 * 60_000
const DRAIN_MS = 1_000
/** A connection on which nothing is asked is probed by the system after this time; its probes take 10 s to give it up. */
const PROBE_IDLE_MS = 15_000
/** How often in `idleMs` the time limits of HTTP connections are looked at. */
const LOOKS_AT_IDLE = 6

export async function startMuxServer(options: MuxOptions): Promise<MuxServer> {
  const grpc = grpcServer(options)
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure())
  const http = httpServer(options)
  const sockets = new Set<Socket>()
  const tls = createTlsServer({
    key: options.key,
    cert: options.certificate,
    ALPNProtocols: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_IDLE_MS,
  })
  tls.maxConnections = MAXIMUM_CONNECTIONS
  tls.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  tls.on('tlsClientError', options.onConnectionError)
  tls.on('secureConnection', (socket: TLSSocket) => {
    socket.setNoDelay(true)
    socket.on('error', options.onConnectionError)
    if (socket.alpnProtocol === 'h2') injector.injectConnection(socket)
    else http.emit('connection', socket)
  })
  const port = await listen(tls, options)
  return {
    port,
    close: async () => {
      const closed = new Promise<void>((resolve) => tls.close(() => resolve()))
      injector.drain(DRAIN_MS)
      http.closeIdleConnections()
      const force = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, DRAIN_MS)
      await closed
      clearTimeout(force)
      grpc.forceShutdown()
      http.close()
    },
  }
}

function grpcServer(options: MuxOptions): GrpcServer {
  const server = new GrpcServer({
    'grpc.max_receive_message_length': MAXIMUM_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAXIMUM_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': MAXIMUM_STREAMS_PER_CONNECTION,
    'grpc.max_metadata_size': MAXIMUM_HEADER_BYTES,
    'grpc.keepalive_time_ms': options.keepaliveMs,
    'grpc.keepalive_timeout_ms': options.keepaliveMs,
    'grpc.max_connection_age_ms': LONGEST_CONNECTION_MS,
    'grpc.max_connection_age_grace_ms': DRAIN_MS,
  })
  for (const { definition, implementation } of options.services) server.addService(definition, implementation)
  return server
}

function httpServer(options: MuxOptions): HttpServer {
  const lookMs = Math.ceil(options.idleMs / LOOKS_AT_IDLE)
  const server = createHttpServer(
    {
      maxHeaderSize: MAXIMUM_HEADER_BYTES,
      headersTimeout: options.idleMs - lookMs,
      connectionsCheckingInterval: lookMs,
      keepAliveTimeout: 60_000,
      // A slow link may take long for a body; what ends a request is standing still (uploads.ts, blob-server.ts).
      requestTimeout: 0,
    },
    options.onRequest,
  )
  // node:http begins to look after the time limits of its connections when it listens. This one never does: its
  // connections come from the TLS server.
  server.emit('listening')
  return server
}

async function listen(server: TlsServer, { host, port }: MuxOptions): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return (server.address() as AddressInfo).port
}
