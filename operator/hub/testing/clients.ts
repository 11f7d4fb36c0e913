// Clients of the hub for tests, as thin as they can be: each shows exactly what goes over the wire.
import { credentials, Metadata, type ChannelOptions, type ServiceError } from '@grpc/grpc-js'
import { createHash } from 'node:crypto'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import {
  AggregationClient,
  ControlClient,
  DistributionClient,
  ParticipationClient,
  type Assignment,
  type ParticipantMessage,
} from '#federation/wire/generated/tributary.ts'
import { HUB_SERVER_NAME, UPLOAD_HEADERS, updatePath } from '#federation/wire/names.ts'

export interface Endpoint {
  readonly port: number
  readonly authority: string
}

export function bearer(token: string): Metadata {
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${token}`)
  return metadata
}

export function clientsOf({ port, authority }: Endpoint): {
  control: ControlClient
  participation: ParticipationClient
  aggregation: AggregationClient
  distribution: DistributionClient
  close(): void
} {
  const address = `127.0.0.1:${port}`
  const tls = credentials.createSsl(Buffer.from(authority))
  const options: ChannelOptions = {
    'grpc.ssl_target_name_override': HUB_SERVER_NAME,
    'grpc.use_local_subchannel_pool': 1,
  }
  const control = new ControlClient(address, tls, options)
  const participation = new ParticipationClient(address, tls, options)
  const aggregation = new AggregationClient(address, tls, options)
  const distribution = new DistributionClient(address, tls, options)
  return {
    control,
    participation,
    aggregation,
    distribution,
    close: () => {
      control.close()
      participation.close()
      aggregation.close()
      distribution.close()
    },
  }
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown

/** Calls a unary method (bound to its client) as the owner of the token. */
export async function call<Request, Response>(
  method: Unary<Request, Response>,
  request: Request,
  token: string,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    method(request, bearer(token), (error, response) => {
      if (error) reject(error)
      else resolve(response)
    })
  })
}

/** A training pod's stream that remembers what it was told. */
export class TestParticipant {
  readonly assignments: Assignment[] = []
  readonly ended: Promise<Error | undefined>
  readonly #stream
  #waiting: (() => void)[] = []

  /** @param round what the pod says it trains */
  constructor(client: ParticipationClient, token: string, campaign: string, round = 0) {
    this.#stream = client.participate(bearer(token))
    this.ended = new Promise((resolve) => {
      this.#stream.on('error', resolve)
      this.#stream.on('end', () => resolve(undefined))
    })
    this.#stream.on('data', (assignment: Assignment) => {
      this.assignments.push(assignment)
      for (const wake of this.#waiting.splice(0)) wake()
    })
    this.send({ kind: { $case: 'hello', value: { campaign, softwareVersion: 'test', round } } })
  }

  send(message: ParticipantMessage): void {
    this.#stream.write(message)
  }

  /** The newest assignment once it is of the wanted kind (and round). */
  async told<C extends NonNullable<Assignment['kind']>['$case']>(
    kind: C,
    round?: number,
  ): Promise<Extract<NonNullable<Assignment['kind']>, { $case: C }>['value']> {
    for (;;) {
      const newest = this.assignments.at(-1)?.kind
      if (newest?.$case === kind && (round === undefined || roundOf(newest.value) === round)) {
        return newest.value as never
      }
      await this.#next()
    }
  }

  /** Until the newest thing it was told is to be idle for this reason. */
  async idle(reason: string): Promise<void> {
    while ((await this.told('idle')).reason !== reason) await this.#next()
  }

  cancel(): void {
    this.#stream.cancel()
  }

  async #next(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

function roundOf(value: object): number | undefined {
  return 'round' in value && typeof value.round === 'number' ? value.round : undefined
}

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: Buffer
}

export async function http(
  { port, authority }: Endpoint,
  request: Omit<RequestOptions, 'headers'> & { token?: string; headers?: Record<string, string> },
  body?: Uint8Array,
): Promise<Answer> {
  const { token, ...options } = request
  const headers = { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...request.headers }
  return new Promise((resolve, reject) => {
    const tls = { ca: authority, servername: HUB_SERVER_NAME, ALPNProtocols: ['http/1.1'] }
    const outgoing = httpsRequest(
      { host: '127.0.0.1', port, agent: false, ...tls, ...options, headers },
      (incoming) => {
        const pieces: Buffer[] = []
        incoming.on('data', (piece: Buffer) => pieces.push(piece))
        incoming.on('error', reject)
        incoming.on('end', () => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(pieces),
          })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

export interface TestUpdate {
  readonly campaign: string
  readonly round: number
  readonly participant: string
  readonly bytes: Uint8Array
  readonly samples: number
  readonly steps: number
  readonly loss: number
  readonly initialLoss?: number
  readonly parameters: string
}

export function uploadHeaders(update: TestUpdate, offset = 0): Record<string, string> {
  return {
    [UPLOAD_HEADERS.offset]: String(offset),
    [UPLOAD_HEADERS.length]: String(update.bytes.byteLength),
    [UPLOAD_HEADERS.digest]: sha256(update.bytes),
    [UPLOAD_HEADERS.samples]: String(update.samples),
    [UPLOAD_HEADERS.steps]: String(update.steps),
    [UPLOAD_HEADERS.loss]: String(update.loss),
    [UPLOAD_HEADERS.parameters]: update.parameters,
    ...(update.initialLoss !== undefined && { [UPLOAD_HEADERS.initialLoss]: String(update.initialLoss) }),
  }
}

/** Sends bytes [from, to) of an update in one request. */
export async function patch(
  endpoint: Endpoint,
  update: TestUpdate,
  options: { token: string; from?: number; to?: number },
): Promise<Answer> {
  const { token, from = 0, to = update.bytes.byteLength } = options
  const path = updatePath(update.campaign, update.round, update.participant)
  const body = update.bytes.subarray(from, to)
  const headers = { ...uploadHeaders(update, from), 'content-length': String(body.byteLength) }
  return http(endpoint, { method: 'PATCH', path, token, headers }, body)
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function floats(...values: number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer)
}
