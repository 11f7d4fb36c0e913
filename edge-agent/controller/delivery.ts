// From the updates of a round to the parent's word about them: offer the members, leave out those that count already, sum the others, and
// send the sum until there is an answer. Each step is on the disk before the next, so whoever goes on after a crash sends the same
// bytes. Waits for an unreachable parent without an end, while rounds go on; what the parent says late is the parent's to decide.
import type { Logger } from 'pino'

import type { Kernels } from '#federation/aggregation/kernels.ts'
import { sumUpdates } from '#federation/aggregation/sum.ts'
import type { Clock } from '#federation/tier/clock.ts'
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import { updatesToMerge } from '#federation/tier/rounds/merging.ts'
import type { Round } from '#federation/tier/rounds/round.ts'
import { toTierError } from '#federation/tier/serving/errors.ts'
import type { BlobStore } from '#federation/tier/store/blobs.ts'
import type { SpareFiles } from '#federation/tier/store/spares.ts'
import { Backoff, type BackoffOptions } from '#federation/wire/backoff.ts'
import type { IntermediateOffer, OfferAnswer } from '#federation/wire/generated/tributary.ts'
import type { Sender } from '#federation/wire/http.ts'
import { EPOCH_FENCED, REASON_TRAILER } from '#federation/wire/names.ts'
import { type UploadOutcome, uploadUpdate } from '#federation/wire/upload.ts'

import { type Batch, batchesOf } from './batches.ts'
import { membersWithout } from './members.ts'
import type { Delivered, Offer, Sum } from './outgoing.ts'

/** The tier above, as far as a delivery needs it. */
export interface Parent extends Sender {
  /** Which one it is at the moment. */
  readonly place: string
  offer(offer: IntermediateOffer, signal: AbortSignal): Promise<OfferAnswer>
}

export interface DeliveryContext {
  readonly tier: string
  readonly parent: Parent
  readonly blobs: BlobStore
  readonly spares: SpareFiles
  readonly kernels: Kernels
  readonly clock: Clock
  readonly logger: Logger
  /** Up to which round everything is said, as the parent says. */
  readonly settledRound: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly backoff?: BackoffOptions | undefined
  /** The parent says that another controller has taken over. */
  readonly onFenced: (detail: string) => void
}

interface Sending {
  readonly offer: Offer
  readonly sum: Sum
  readonly path: string
}

/** Refusals after which the members are offered anew. */
const OFFER_AGAIN = new Set(['MembersCounted', 'OfferUnknown'])

export class Delivery {
  readonly #campaign: Campaign
  readonly #context: DeliveryContext
  #running: Promise<void> | undefined
  #again = false
  /** What stands in the way at the moment; undefined when nothing does. */
  problem: { reason: string; message: string } | undefined

  constructor(campaign: Campaign, context: DeliveryContext) {
    this.#campaign = campaign
    this.#context = context
  }

  /** Looks for what is to be sent; many pokes are one. */
  poke(): void {
    this.#again = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async ended(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#campaign
    const backoff = new Backoff(this.#context.random, this.#context.backoff)
    await Promise.resolve()
    while (this.#again && !signal.aborted) {
      this.#again = false
      try {
        await this.#deliverAll()
        this.#setProblem(undefined)
      } catch (error) {
        this.#fail(error)
        this.#again = true
        await backoff.wait(signal).catch(() => undefined)
      }
    }
  }

  #fail(error: unknown): void {
    if (this.#campaign.signal.aborted) return
    const message = error instanceof Error ? error.message : String(error)
    this.#context.logger.warn({ error: message }, 'sending the sum of a round: trying again')
    const {
      kind,
      reason,
      message: shown,
    } = toTierError(error, `the edge controller of ${this.#context.tier}`)
    this.#setProblem(
      kind === 'diskFull' ? { reason, message: shown } : { reason: 'ParentUnreachable', message },
    )
  }

  #setProblem(problem: Delivery['problem']): void {
    if (this.problem?.reason === problem?.reason) return
    this.problem = problem
    this.#campaign.changed()
  }

  async #deliverAll(): Promise<void> {
    const rounds = [...this.#campaign.rounds.values()].sort((a, b) => a.number - b.number)
    for (const round of rounds) await this.#deliverRound(round)
  }

  async #deliverRound(round: Round): Promise<void> {
    const batches = await batchesOf(this.#campaign, round, this.#context.clock.now())
    const isSettled = round.number <= this.#context.settledRound()
    for (const batch of batches) await (isSettled ? this.#settle(batch) : this.#deliver(batch))
    if (isSettled && batches.length > 0) await round.dropUpdateBytes(this.#context.spares)
  }

  async #settle(batch: Batch): Promise<void> {
    const { outgoing } = batch
    if (!(await outgoing.delivered())) await this.#saveDelivered(batch, { outcome: 'settled', detail: '' })
    await outgoing.dropBytes()
  }

  async #deliver(batch: Batch): Promise<void> {
    const before = await batch.outgoing.delivered()
    if (before?.to === this.#context.parent.place) return
    const said = await this.#send(batch)
    if (said) await this.#saveDelivered(batch, said)
  }

  async #saveDelivered(
    { number, outgoing }: Batch,
    said: Pick<Delivered, 'outcome' | 'detail'>,
  ): Promise<void> {
    await outgoing.saveDelivered({ ...said, to: this.#context.parent.place })
    this.#context.logger.info({ round: number, ...said }, 'sum of a round answered')
    this.#campaign.changed()
  }

  /** Undefined when the way has to be begun again. */
  async #send(batch: Batch): Promise<Pick<Delivered, 'outcome' | 'detail'> | undefined> {
    const { outgoing } = batch
    const offer = (await outgoing.offer()) ?? (await this.#offer(batch))
    if ('outcome' in offer) return offer
    const sum = (await outgoing.sum()) ?? (await this.#sum(batch, offer))
    const outcome = await this.#upload(batch, { offer, sum, path: (await outgoing.store()).path(sum.digest) })
    if (outcome.kind !== 'refused')
      return { outcome: outcome.kind, detail: 'detail' in outcome ? outcome.detail : '' }
    if (outcome.reason === EPOCH_FENCED) this.#context.onFenced(outcome.detail)
    if (!OFFER_AGAIN.has(outcome.reason))
      return { outcome: 'refused', detail: `${outcome.reason}: ${outcome.detail}` }
    await outgoing.withdraw()
    this.#again = true
    return undefined
  }

  /** Asks until nothing of what is left counts already. */
  async #offer({
    number: round,
    commit,
    outgoing,
  }: Batch): Promise<Offer | Pick<Delivered, 'outcome' | 'detail'>> {
    const { tier, parent } = this.#context
    const { uid, signal } = this.#campaign
    const counted = new Set<string>()
    for (;;) {
      const members = membersWithout(commit.updates, counted)
      if (members.length === 0)
        return { outcome: 'nothing', detail: 'the update of each member counts already' }
      const answer = await parent.offer({ campaign: uid, tier, round, members }, signal).catch(lateOffer)
      if (!('offerDigest' in answer)) return answer
      if (answer.counted.length === 0) {
        const offer = { members, digest: answer.offerDigest }
        await outgoing.saveOffer(offer)
        return offer
      }
      const size = counted.size
      for (const node of answer.counted) counted.add(node)
      if (counted.size === size)
        throw new Error('the parent says again that members count which were not offered')
    }
  }

  async #sum(batch: Batch, { members }: Offer): Promise<Sum> {
    const { blobs, kernels } = this.#context
    const { codec, signal } = this.#campaign
    const own = await batch.outgoing.store()
    const wanted = new Set(members.map(({ node }) => node))
    const committed = batch.commit.updates.filter(({ participant }) => wanted.has(participant))
    const held = new Set(committed.map(({ participant, through }) => through ?? participant))
    const all = updatesToMerge(this.#campaign, batch, blobs)
    const updates = all.filter(({ participant }) => held.has(participant))
    const length = codec.sumBytes / Float32Array.BYTES_PER_ELEMENT
    const sum = await own.write(async (write) => {
      await sumUpdates({ updates, length, write, kernels, signal })
    })
    await batch.outgoing.saveSum(sum)
    return sum
  }

  async #upload(
    { number, attempt }: Batch,
    { offer, sum: { digest, size }, path }: Sending,
  ): Promise<UploadOutcome> {
    const { tier: participant, parent, random, backoff, logger } = this.#context
    const { uid: campaign, signal } = this.#campaign
    return await uploadUpdate(
      {
        ...{ campaign, round: number, participant, digest, size, members: offer.digest },
        ...{ path, parameters: attempt.base.digest },
      },
      {
        ...{ http: parent, signal, random, backoff },
        onRetry: (error, waitMs) => {
          logger.warn({ error: error.message, waitMs }, 'sending the sum of a round: trying again')
          this.#setProblem({ reason: 'ParentUnreachable', message: error.message })
        },
      },
    )
  }
}

/** What the parent has closed is late; everything else is asked again. */
function lateOffer(error: unknown): Pick<Delivered, 'outcome' | 'detail'> {
  if (reasonOf(error) === 'RoundClosed') {
    return { outcome: 'late', detail: error instanceof Error ? error.message : String(error) }
  }
  throw error
}

/** The reason that a gRPC error carries in its trailer. */
export function reasonOf(error: unknown): string | undefined {
  const { metadata } = error as Partial<{ metadata: { get: (key: string) => unknown[] } }>
  const reason = metadata?.get(REASON_TRAILER)[0]
  return typeof reason === 'string' ? reason : undefined
}
