/*
 * The operator's part in a storm: it plans, asks how things stand, and reads what was merged, and asks again whenever the hub is
 * away.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { call, clientsOf, http, type Endpoint } from '#operator/hub/testing/clients.ts'
import { operatorToken } from '#operator/hub/testing/fakes.ts'
import { modelPlan } from '#operator/hub/testing/story.ts'
import { campaignPlan } from '#federation/tier/testing/plans.ts'
import {
  RoundState_Phase,
  type CampaignPlan,
  type CampaignReference,
  type CampaignState,
  type ModelPlan,
  type ModelState,
  type RoundState,
  type TierNode,
} from '#federation/wire/generated/tributary.ts'
import { digestOf } from '#federation/wire/digest.ts'
import { blobPath } from '#federation/wire/names.ts'

type Clients = ReturnType<typeof clientsOf>

export interface PlannedRound {
  readonly round: number
  readonly rounds: number
  readonly nodes: readonly string[]
  readonly minimumUpdates: number
  readonly tiers?: readonly TierNode[]
}

const PAUSE_MS = 25
const DEADLINE_SECONDS = 900

export class StormOperator {
  readonly #endpoint: () => Endpoint
  readonly #campaign: string
  readonly #signal: AbortSignal
  #clients: Clients | undefined

  /** @param signal when to give up asking */
  constructor(endpoint: () => Endpoint, campaign: string, signal: AbortSignal) {
    this.#endpoint = endpoint
    this.#campaign = campaign
    this.#signal = signal
  }

  /** Plans the round until the hub has opened it. */
  async plan({ round, rounds, nodes, minimumUpdates, tiers = [] }: PlannedRound): Promise<void> {
    const participants = nodes.map((node) => ({ node, pod: `pod-${node}` }))
    const attempt = { round, attempt: 1, participants: [...nodes], minimumUpdates }
    const plan = campaignPlan({
      uid: this.#campaign,
      participants,
      round: { ...attempt, deadlineSeconds: DEADLINE_SECONDS, rounds, population: nodes.length },
      evaluationDeadlineSeconds: 1,
      tiers: [...tiers],
    })
    await this.#again(async ({ control }) => {
      await call<ModelPlan, ModelState>(control.applyModel.bind(control), modelPlan(), operatorToken)
      await call<CampaignPlan, CampaignState>(control.applyCampaign.bind(control), plan, operatorToken)
    })
    await this.until(({ current }) => current?.round === round)
  }

  async state(): Promise<CampaignState> {
    const request = { uid: this.#campaign }
    return this.#again(({ control }) =>
      call<CampaignReference, CampaignState>(control.getCampaign.bind(control), request, operatorToken),
    )
  }

  async until(reached: (state: CampaignState) => boolean): Promise<CampaignState> {
    for (;;) {
      const state = await this.state()
      if (state.failureReason !== '') throw new Error(`${state.failureReason}: ${state.failureMessage}`)
      if (reached(state)) return state
      await this.#pause()
    }
  }

  /** The round once its merged parameters are there. */
  async merged(round: number): Promise<RoundState> {
    const state = await this.until(
      ({ current }) => current?.round === round && current.parametersDigest !== '',
    )
    return state.current as RoundState
  }

  async closed(round: number): Promise<void> {
    await this.until(({ current }) => current?.round === round && current.phase === RoundState_Phase.DONE)
  }

  async parameters(digest: string): Promise<Float32Array> {
    const { body } = await this.#again(async () => {
      const answer = await http(this.#endpoint(), { path: blobPath(digest), token: operatorToken })
      if (answer.status !== 200) throw new Error(`reading ${digest}: the hub answered ${answer.status}`)
      return answer
    })
    if (digestOf(body) !== digest) throw new Error(`the hub sent ${digestOf(body)} for ${digest}`)
    return new Float32Array(body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength))
  }

  close(): void {
    this.#clients?.close()
    this.#clients = undefined
  }

  async #again<T>(work: (clients: Clients) => Promise<T>): Promise<T> {
    for (;;) {
      const clients = (this.#clients ??= clientsOf(this.#endpoint()))
      try {
        return await work(clients)
      } catch (error) {
        this.#signal.throwIfAborted()
        // Another may have renewed them meanwhile. A channel that has lost its server waits longer than a new one.
        if (this.#clients === clients) this.close()
        if (!isPassing(error)) throw error
        await this.#pause()
      }
    }
  }

  async #pause(): Promise<void> {
    await sleep(PAUSE_MS, undefined, { signal: this.#signal })
  }
}

/** INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED and the like say that the storm itself is wrong. */
const PASSING_CODES = [1, 4, 8, 10, 13, 14]

function isPassing(error: unknown): boolean {
  const { code } = error as { code?: number | string }
  return typeof code === 'string' || code === undefined || PASSING_CODES.includes(code)
}
