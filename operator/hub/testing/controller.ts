// An edge controller for tests, as thin as it can be: it introduces itself, remembers what it is told, and sends what it is given.
import type { Metadata, ServiceError } from '@grpc/grpc-js'
import type {
  AggregatorMessage,
  IntermediateOffer,
  Member,
  OfferAnswer,
  TierAssignment,
  TierPlan,
} from '#federation/wire/generated/tributary.ts'
import { UPLOAD_HEADERS, updatePath } from '#federation/wire/names.ts'
import { CAMPAIGN } from '#federation/tier/testing/plans.ts'
import { bearer, call, http, sha256, type Answer } from './clients.ts'
import { controllerToken } from './fakes.ts'
import type { Story } from './story.ts'

export interface Sum {
  readonly members: readonly Member[]
  readonly bytes: Buffer
}

/** What a node sent: an update with whole facts. */
export interface SentUpdate {
  readonly node: string
  readonly samples: number
  readonly values: readonly number[]
}

export function bytesOf({ values }: Pick<SentUpdate, 'values'>): Buffer {
  return Buffer.from(Float32Array.from(values).buffer)
}

/** Σ samples · update of some nodes, added in float64. */
export function sumOf(updates: readonly SentUpdate[]): Sum {
  const sorted = updates.toSorted((a, b) => (a.node < b.node ? -1 : 1))
  const members = sorted.map(({ node, samples, values }) => {
    return { node, digest: sha256(bytesOf({ values })), samples, steps: 3, loss: 0.5 }
  })
  const length = sorted[0]?.values.length ?? 0
  const sums = Array.from({ length }, (_, i) =>
    sorted.reduce((sum, { samples, values }) => sum + samples * Math.fround(values[i] ?? NaN), 0),
  )
  return { members, bytes: bytesOf({ values: sums }) }
}

export class TestController {
  readonly tier: string
  readonly token: string
  readonly assignments: TierAssignment[] = []
  readonly ended: Promise<ServiceError | undefined>
  readonly #story: Story
  readonly #campaign: string
  readonly #stream
  #waiting: (() => void)[] = []

  constructor(
    story: Story,
    tier: string,
    { epoch = 1, campaign = CAMPAIGN, certificate = story.test.authority } = {},
  ) {
    this.tier = tier
    this.token = controllerToken(tier, epoch)
    this.#story = story
    this.#campaign = campaign
    this.#stream = story.clients.aggregation.aggregate(bearer(this.token))
    this.ended = new Promise((resolve) => {
      this.#stream.on('error', (error: ServiceError) => resolve(error))
      this.#stream.on('end', () => resolve(undefined))
    })
    this.#stream.on('data', (assignment: TierAssignment) => {
      this.assignments.push(assignment)
      for (const wake of this.#waiting.splice(0)) wake()
    })
    const address = `${tier}.invalid:7443`
    const hello = { campaign, tier, softwareVersion: 'test', address, certificate }
    this.send({ kind: { $case: 'hello', value: hello } })
  }

  send(message: AggregatorMessage): void {
    this.#stream.write(message)
  }

  /** The newest plan once it is as wanted. */
  async told(wanted: (plan: TierPlan) => boolean): Promise<TierPlan> {
    for (;;) {
      const newest = this.assignments.at(-1)?.kind
      if (newest?.$case === 'plan' && wanted(newest.value)) return newest.value
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** What the updates of a round were trained from, as it was told when the round was open. */
  async #startOf(round: number): Promise<string> {
    for (;;) {
      for (const { kind } of this.assignments) {
        const basis = kind?.$case === 'plan' ? kind.value.basis : undefined
        if (basis?.round === round) return basis.parameters?.digest ?? ''
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  async offer(members: readonly Member[], round = 1): Promise<OfferAnswer> {
    const { aggregation } = this.#story.clients
    const offer = { campaign: this.#campaign, tier: this.tier, round, members: [...members] }
    return call<IntermediateOffer, OfferAnswer>(aggregation.offer.bind(aggregation), offer, this.token)
  }

  /** Sends bytes [from, to) of a sum that was offered. */
  async patch(sum: Sum, offer: string, { round = 1, from = 0, to = sum.bytes.length } = {}): Promise<Answer> {
    const body = sum.bytes.subarray(from, to)
    const parameters = await this.#startOf(round)
    const headers = {
      ...this.#names(sum, offer),
      [UPLOAD_HEADERS.offset]: String(from),
      [UPLOAD_HEADERS.length]: String(sum.bytes.length),
      [UPLOAD_HEADERS.parameters]: parameters,
      'content-length': String(body.length),
    }
    return this.#http('PATCH', round, headers, body)
  }

  async head(sum: Sum, offer: string, round = 1): Promise<Answer> {
    return this.#http('HEAD', round, this.#names(sum, offer))
  }

  /** Offers and sends: what a tier does in a round when nobody else brought its members. */
  async deliver(updates: readonly SentUpdate[], round = 1): Promise<Answer> {
    await this.told(({ basis }) => basis?.round === round)
    const sum = sumOf(updates)
    const { offerDigest } = await this.offer(sum.members, round)
    return this.patch(sum, offerDigest, { round })
  }

  cancel(): void {
    this.#stream.cancel()
  }

  #names(sum: Sum, offer: string): Record<string, string> {
    return { [UPLOAD_HEADERS.digest]: sha256(sum.bytes), [UPLOAD_HEADERS.members]: offer }
  }

  async #http(
    method: string,
    round: number,
    headers: Record<string, string>,
    body?: Uint8Array,
  ): Promise<Answer> {
    const path = updatePath(this.#campaign, round, this.tier)
    return http(this.#story.endpoint, { method, path, token: this.token, headers }, body)
  }
}

/** The machine-readable reason of an error that a call ended with. */
export function reasonOf(error: { readonly metadata?: Metadata } | undefined): string {
  return String(error?.metadata?.get('tributary-reason')[0] ?? '')
}
