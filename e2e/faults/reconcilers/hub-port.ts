// One operator's connection to the scripted hub, which outlives operators. Calls can go wrong; after the operator's
// death nothing gets through any more.
import type {
  CampaignPlan,
  CampaignState,
  Change,
  ModelPlan,
  ModelState,
  ModelVersion,
  PublishRequest,
} from '#federation/wire/generated/tributary.ts'
import type { HubClient } from '#operator/hub-client/hub-client.ts'
import type { ScriptedHub } from '#operator/testing/scripted-hub.ts'

export type HubFate = 'pass' | 'refuse' | 'loseAnswer' | 'crashBefore' | 'crashAfter'

export interface HubPortOptions {
  hub: ScriptedHub
  /** Decides what becomes of a call. */
  fate: (method: string, detail: string) => HubFate
  /** The operator dies. */
  crash: () => void
  /** Told of each plan before the hub takes it, and whether it has a round in it. */
  planned: (uid: string, opens: boolean) => void
  /** Told what the hub holds of a campaign after it took a plan. */
  took: (state: CampaignState) => void
}

export class HubPort implements HubClient {
  readonly #options: HubPortOptions
  #dead = false

  constructor(options: HubPortOptions) {
    this.#options = options
  }

  die(): void {
    this.#dead = true
  }

  applyModel(plan: ModelPlan): Promise<ModelState> {
    return this.#call('applyModel', '', () => {
      this.#options.planned(plan.uid, false)
      return this.#options.hub.applyModel(plan)
    })
  }

  getModel(uid: string): Promise<ModelState> {
    return this.#call('getModel', '', () => this.#options.hub.getModel(uid))
  }

  deleteModel(uid: string): Promise<void> {
    return this.#call('deleteModel', '', () => this.#options.hub.deleteModel(uid))
  }

  async applyCampaign(plan: CampaignPlan): Promise<CampaignState> {
    const { round } = plan
    const detail = round ? `round ${String(round.round)}.${String(round.attempt)}` : 'finished'
    return this.#call('applyCampaign', detail, async () => {
      this.#options.planned(plan.uid, round !== undefined)
      const state = await this.#options.hub.applyCampaign(plan)
      this.#options.took(state)
      return state
    })
  }

  getCampaign(uid: string): Promise<CampaignState> {
    return this.#call('getCampaign', '', () => this.#options.hub.getCampaign(uid))
  }

  deleteCampaign(uid: string): Promise<void> {
    return this.#call('deleteCampaign', '', () => this.#options.hub.deleteCampaign(uid))
  }

  publishVersion(request: PublishRequest): Promise<ModelVersion> {
    const detail = `round ${String(request.round)}`
    return this.#call('publishVersion', detail, () => this.#options.hub.publishVersion(request))
  }

  watch(onChange: (change: Change) => void, signal: AbortSignal): Promise<void> {
    return this.#options.hub.watch((change) => {
      if (!this.#dead) onChange(change)
    }, signal)
  }

  close(): void {
    this.#dead = true
  }

  async #call<T>(method: string, detail: string, work: () => Promise<T>): Promise<T> {
    if (this.#dead) throw unavailable()
    const fate = this.#options.fate(method, detail)
    if (fate === 'crashBefore') this.#options.crash()
    if (fate === 'crashBefore' || fate === 'refuse') throw unavailable()
    const answer = await work()
    if (fate === 'crashAfter') this.#options.crash()
    if (fate === 'crashAfter' || fate === 'loseAnswer') throw unavailable()
    return answer
  }
}

function unavailable(): Error {
  return new Error('UNAVAILABLE: by the fault plan')
}
