// /healthz, /readyz and /metrics on a plain port, for kubelet and Prometheus. Answers GET and HEAD, nothing else;
// reads no body; a check that throws counts as failed.

import * as http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

/** Undefined when all is well, else a sentence saying what is not. */
export type HealthCheck = () => string | undefined

export interface HealthOptions {
  /** 0 takes any free port. */
  port: number
  /** All addresses unless told. */
  host?: string | undefined
  registry: Registry
  live?: Record<string, HealthCheck> | undefined
  ready?: Record<string, HealthCheck> | undefined
}

export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

interface Answer {
  status: number
  type: string
  body: string
}

const TEXT = 'text/plain; charset=utf-8'

export async function startHealthServer(options: HealthOptions): Promise<HealthServer> {
  const server = http.createServer({ requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 16_384 })
  server.on('request', (request, response) => {
    respond(options, request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

async function respond(
  options: HealthOptions,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const { status, type, body } = await answer(options, request)
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(request.method === 'HEAD' ? undefined : body)
}

async function answer(options: HealthOptions, request: http.IncomingMessage): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'GET or HEAD only\n')
  switch (request.url?.split('?')[0]) {
    case '/healthz':
      return checked(options.live ?? {})
    case '/readyz':
      return checked(options.ready ?? {})
    case '/metrics':
      return { status: 200, type: options.registry.contentType, body: await options.registry.metrics() }
    default:
      return plain(404, 'not found\n')
  }
}

function checked(checks: Record<string, HealthCheck>): Answer {
  const results = Object.entries(checks).map(([name, check]) => ({ name, problem: run(check) }))
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+] ${name}` : `[-] ${name}: ${problem}`,
  )
  const failed = results.some(({ problem }) => problem !== undefined)
  return plain(failed ? 503 : 200, [...lines, failed ? 'failed' : 'ok', ''].join('\n'))
}

function run(check: HealthCheck): string | undefined {
  try {
    return check()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function plain(status: number, body: string): Answer {
  return { status, type: TEXT, body }
}
