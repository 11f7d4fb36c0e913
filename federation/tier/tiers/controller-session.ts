// The stream of one edge controller: it introduces itself, is told its part of the campaign now and at each change, and passes on
// what its training pods say.
import type { ServerDuplexStream } from '@grpc/grpc-js'
import { X509Certificate } from 'node:crypto'
import type {
  AggregatorHello,
  AggregatorMessage,
  TierAssignment,
  TokenKeys,
} from '../../wire/generated/tributary.ts'
import type { Clock } from '../clock.ts'
import { hasControllers } from '../plans.ts'
import type { Campaign } from '../rounds/campaign.ts'
import type { Campaigns } from '../rounds/campaigns.ts'
import { recordEvaluation, recordFailure } from '../said-by-nodes.ts'
import { TierError } from '../serving/errors.ts'
import { endWithError, isCancelled, type CallContext } from '../serving/grpc.ts'
import { requireController, type ReviewedIdentity } from '../serving/identity.ts'
import type { HubMetrics } from '../serving/metrics.ts'
import { belongingOf } from './belonging.ts'
import { checkedReport, type Introduction } from './controllers.ts'
import { tierPlanOf } from './tier-plan.ts'
import type { CheckedTierNode } from './tier-nodes.ts'
import { treeOf } from './tree.ts'

export interface AggregationContext extends CallContext {
  readonly campaigns: Pick<Campaigns, 'get'>
  readonly clock: Clock
  readonly metrics: HubMetrics
  /** Keys of the cluster's service-account tokens; rejects when they cannot be had now. */
  readonly tokenKeys: () => Promise<TokenKeys>
  /** Who may fetch models from controllers. */
  readonly agentUsername: string
}

export interface SessionParts {
  readonly context: AggregationContext
  readonly call: ServerDuplexStream<AggregatorMessage, TierAssignment>
  readonly identity: ReviewedIdentity
  readonly campaign: Campaign
}

/** Keys change seldom, and old ones stay good for as long as tokens that they signed. */
const KEYS_AGAIN_MS = 10 * 60_000
const KEYS_RETRY_MS = 10_000
const MOST_ADDRESS = 300
const MOST_CERTIFICATE = 16 * 1024

export class ControllerSession {
  readonly #parts: SessionParts
  readonly #name: string
  #stopObserving: () => void = () => undefined
  #keys: TokenKeys | undefined
  #keysTimer: NodeJS.Timeout | undefined
  #sent = ''
  /** Of the attempt that the controller was told last: the same each time, as the controller's clock runs by itself. */
  #left = { attempt: '', share: 1 }
  #closed = false

  static async open(parts: SessionParts, hello: AggregatorHello): Promise<ControllerSession> {
    const { campaign, identity } = parts
    const introduction = introductionOf(hello)
    const session = new ControllerSession(parts, hello.tier)
    await campaign.locked(async () => {
      const tier = requireController(identity, campaign, hello.tier)
      await campaign.controllers.connect(tier, introduction, session)
    })
    session.#begin()
    return session
  }

  private constructor(parts: SessionParts, name: string) {
    this.#parts = parts
    this.#name = name
  }

  async receive({ kind }: AggregatorMessage): Promise<void> {
    const { campaign } = this.#parts
    const members = treeOf(campaign.plan).members(this.#tier().name)
    this.#seen()
    switch (kind?.$case) {
      case 'report':
        campaign.controllers.report(this.#name, checkedReport(kind.value, members))
        campaign.changed()
        break
      case 'evaluation': {
        const { node, result } = kind.value
        if (members.has(node) && result) await recordEvaluation(campaign, node, result)
        break
      }
      case 'failure': {
        const { node, failure } = kind.value
        if (members.has(node) && failure) await recordFailure(campaign, node, failure)
        break
      }
      case 'hello':
        throw new TierError('invalid', 'HelloRepeated', 'a stream says hello once')
      case undefined:
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#keysTimer)
    this.#stopObserving()
    this.#parts.context.metrics.streams.dec({ service: 'Aggregation' })
    this.#parts.campaign.controllers.disconnect(this.#name, this)
  }

  #begin(): void {
    const { campaign, call, context } = this.#parts
    context.metrics.streams.inc({ service: 'Aggregation' })
    this.#seen()
    this.#stopObserving = campaign.observe(() => this.#send())
    call.once('close', () => this.close())
    campaign.changed()
    this.#send()
    this.#refreshKeys()
  }

  #tier(): CheckedTierNode {
    return requireController(this.#parts.identity, this.#parts.campaign, this.#name)
  }

  #seen(): void {
    this.#parts.campaign.controllers.seen(this.#name, this.#parts.context.clock.now())
  }

  #refreshKeys(): void {
    const { tokenKeys, logger } = this.#parts.context
    const again = (afterMs: number): void => {
      if (!this.#closed) this.#keysTimer = setTimeout(() => this.#refreshKeys(), afterMs).unref()
    }
    tokenKeys()
      .then((keys) => {
        this.#keys = keys
        this.#send()
        again(KEYS_AGAIN_MS)
      })
      .catch((error: unknown) => {
        logger.warn({ err: error, tier: this.#name }, 'keys of tokens cannot be read now')
        again(KEYS_RETRY_MS)
      })
  }

  /** Sends the current assignment unless it is what was sent last. */
  #send(): void {
    const { call, campaign } = this.#parts
    if (this.#closed || isCancelled(call)) return
    try {
      // A controller that was told that all is over, and that it is of no more use, ends by itself.
      if (campaign.signal.aborted && hasControllers(campaign.plan)) {
        throw new TierError('unavailable', 'CampaignGone', 'the campaign or its parent is going away')
      }
      const assignment = this.#assignment(this.#tier())
      const text = JSON.stringify(assignment)
      if (!assignment || text === this.#sent) return
      this.#sent = text
      call.write(assignment)
    } catch (error) {
      endWithError(call, error, this.#parts.context.tier)
    }
  }

  /** Undefined while the controller that this one belongs to is not there. */
  #assignment(tier: CheckedTierNode): TierAssignment | undefined {
    const { campaign, context } = this.#parts
    const above = treeOf(campaign.plan).above(tier.name)
    const belonging = belongingOf(above, (other) => campaign.controllers.introductionOf(other))
    if (belonging.to === 'nobody') return undefined
    if (belonging.to === 'controller') return { kind: { $case: 'parent', value: belonging.parent } }
    const { agentUsername } = context
    const value = { ...tierPlanOf(campaign, tier, this.#shareLeft()), tokenKeys: this.#keys, agentUsername }
    return { kind: { $case: 'plan', value } }
  }

  /** How much of the round's time was left when this controller was first told of the attempt. */
  #shareLeft(): number {
    const { context, campaign } = this.#parts
    const { current } = campaign
    if (!current) return 1
    const { round, attempt: number, openedMs } = current.attempt
    const attempt = `${round}/${number}`
    if (this.#left.attempt !== attempt) {
      const deadlineMs = campaign.deadlineOf(current)
      const share = (deadlineMs - context.clock.now()) / Math.max(1, deadlineMs - openedMs)
      this.#left = { attempt, share: Math.min(1, Math.max(0, share)) }
    }
    return this.#left.share
  }
}

function introductionOf({ address, certificate }: AggregatorHello): Introduction {
  if (address.length > MOST_ADDRESS || !/^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):[1-9][0-9]{0,4}$/.test(address)) {
    throw invalid('address', address, '<host>:<port>')
  }
  if (certificate.length > MOST_CERTIFICATE || !isCertificate(certificate)) {
    throw invalid('certificate', certificate, 'one certificate as PEM')
  }
  return { address, certificate }
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem)
    return true
  } catch {
    return false
  }
}

function invalid(field: string, value: string, wanted: string): TierError {
  const detail = `the hello's ${field} is "${value.slice(0, 100)}"; expected ${wanted}`
  return new TierError('invalid', 'HelloInvalid', detail)
}
