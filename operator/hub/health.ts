// Health and metrics on a plain port of their own: nothing here is secret, and kubelet and Prometheus bring no token.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

export async function startHealthServer(
  registry: Registry,
  isReady: () => boolean,
  address: { host: string | undefined; port: number },
): Promise<HealthServer> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 10_000 }, (request, response) => {
    answer(request.url ?? '', registry, isReady).then(
      ({ status, body, type }) => response.writeHead(status, { 'content-type': type }).end(body),
      () => response.writeHead(500).end(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, resolve)
  })
  return { port: (server.address() as AddressInfo).port, close: async () => closeServer(server) }
}

interface Answer {
  status: number
  body: string
  type: string
}

async function answer(path: string, registry: Registry, isReady: () => boolean): Promise<Answer> {
  const type = 'text/plain; charset=utf-8'
  switch (path) {
    case '/healthz':
      return { status: 200, body: 'ok\n', type }
    case '/readyz':
      return isReady()
        ? { status: 200, body: 'ok\n', type }
        : { status: 503, body: 'starting or stopping\n', type }
    case '/metrics':
      return { status: 200, body: await registry.metrics(), type: registry.contentType }
    default:
      return { status: 404, body: 'there are /healthz, /readyz and /metrics\n', type }
  }
}

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
