// A hub as tests of the reconcilers need it: it keeps plans, answers with states that a test sets, and can fall
// silent. The real hub is tested against the real operator in the stories.
import {
  CampaignState,
  Change_Kind as ChangeKind,
  ModelState,
  ModelState_Phase as Phase,
  ModelVersion,
  RoundState,
  RoundState_Phase,
  TierState,
} from '#federation/wire/generated/tributary.ts'
import type { CampaignPlan, Change, ModelPlan, PublishRequest } from '#federation/wire/generated/tributary.ts'
import type { HubClient } from '#operator/hub-client/hub-client.ts'

interface Campaign {
  plan: CampaignPlan
  state: CampaignState
}

export class ScriptedHub implements HubClient {
  readonly campaigns = new Map<string, Campaign>()
  readonly models = new Map<string, { plan: ModelPlan; state: ModelState }>()
  silent = false
  #onChange: (change: Change) => void = () => undefined

  applyModel(plan: ModelPlan): Promise<ModelState> {
    return this.#answer(() => {
      const known = this.models.get(plan.uid)
      const state =
        known?.state ??
        ModelState.fromPartial({
          uid: plan.uid,
          phase: Phase.READY,
          versions: [{ version: 1, digest: 'sha256:1' }],
        })
      this.models.set(plan.uid, { plan, state })
      if (!known) this.#tell(ChangeKind.MODEL, plan)
      return state
    })
  }

  getModel(uid: string): Promise<ModelState> {
    return this.#answer(
      () => this.models.get(uid)?.state ?? ModelState.fromPartial({ uid, phase: Phase.UNKNOWN }),
    )
  }

  deleteModel(uid: string): Promise<void> {
    return this.#answer(() => {
      this.models.delete(uid)
    })
  }

  /** Opens the planned round; the same attempt again changes nothing. */
  applyCampaign(plan: CampaignPlan): Promise<CampaignState> {
    return this.#answer(() => {
      const known = this.campaigns.get(plan.uid)
      const before =
        known?.state ??
        CampaignState.fromPartial({ uid: plan.uid, known: true, baseVersion: 1, modelUid: plan.modelUid })
      const isNew =
        plan.round &&
        (plan.round.round !== before.current?.round || plan.round.attempt !== before.current.attempt)
      const state =
        plan.round && isNew ? { ...before, current: opened(plan.round), history: historyOf(before) } : before
      this.campaigns.set(plan.uid, { plan, state })
      if (isNew) this.#tell(ChangeKind.CAMPAIGN, plan)
      return state
    })
  }

  getCampaign(uid: string): Promise<CampaignState> {
    return this.#answer(() => this.campaigns.get(uid)?.state ?? CampaignState.fromPartial({ uid }))
  }

  deleteCampaign(uid: string): Promise<void> {
    return this.#answer(() => {
      this.campaigns.delete(uid)
    })
  }

  publishVersion({ modelUid, campaign, round }: PublishRequest): Promise<ModelVersion> {
    return this.#answer(() => {
      const model = this.models.get(modelUid)
      if (!model) throw new Error(`no model ${modelUid}`)
      const known = model.state.versions.find(
        (version) => version.campaign === campaign && version.round === round,
      )
      const made =
        known ??
        ModelVersion.fromPartial({
          version: model.state.versions.length + 1,
          digest: `sha256:${round}`,
          campaign,
          round,
          createdUnixMs: 1e12,
        })
      if (!known) model.state = { ...model.state, versions: [made, ...model.state.versions] }
      const run = this.campaigns.get(campaign)
      if (run) run.state = { ...run.state, publishedRound: round, publishedVersion: made.version }
      this.#tell(ChangeKind.MODEL, model.plan)
      return made
    })
  }

  watch(onChange: (change: Change) => void, signal: AbortSignal): Promise<void> {
    this.#onChange = onChange
    // As the real one does: whoever begins to watch is told of everything known.
    for (const { plan } of this.models.values()) this.#tell(ChangeKind.MODEL, plan)
    for (const { plan } of this.campaigns.values()) this.#tell(ChangeKind.CAMPAIGN, plan)
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        resolve()
      })
    })
  }

  close(): void {
    this.#onChange = () => undefined
  }

  /** Ends the current round of the namespace's campaign as given. */
  endRound(namespace: string, changes: Partial<RoundState> = {}): void {
    const campaign = this.campaignOf(namespace)
    const current = RoundState.fromPartial({
      ...campaign.state.current,
      ...{ phase: RoundState_Phase.DONE, received: campaign.state.current?.wanted ?? 0, closedUnixMs: 1e12 },
      ...{ metrics: { accuracy: 0.9, loss: 0.2 } },
      ...changes,
    })
    campaign.state = { ...campaign.state, current }
    this.#tell(ChangeKind.CAMPAIGN, campaign.plan)
  }

  /** All edge controllers of the namespace's campaign, each in its planned epoch, are connected, but for those that are silent. */
  hear(namespace: string, { silent = [] }: { silent?: readonly string[] } = {}): void {
    const campaign = this.campaignOf(namespace)
    const tiers = campaign.plan.tiers.map(({ name, epoch }) =>
      TierState.fromPartial({ name, epoch, connected: !silent.includes(name), lastSeenUnixMs: 1e12 }),
    )
    campaign.state = { ...campaign.state, tiers }
    this.#tell(ChangeKind.CAMPAIGN, campaign.plan)
  }

  /** What the hub finds out about the namespace's model: agents that report, a file that is refused. */
  report(namespace: string, changes: Partial<ModelState>): void {
    const model = [...this.models.values()].find(({ plan }) => plan.namespace === namespace)
    if (!model) throw new Error(`the hub knows no model of ${namespace}`)
    model.state = { ...model.state, ...changes }
    this.#tell(ChangeKind.MODEL, model.plan)
  }

  campaignOf(namespace: string): Campaign {
    const campaign = [...this.campaigns.values()].find(({ plan }) => plan.namespace === namespace)
    if (!campaign) throw new Error(`the hub knows no campaign of ${namespace}`)
    return campaign
  }

  #answer<T>(answer: () => T): Promise<T> {
    if (this.silent) return Promise.reject(new Error('UNAVAILABLE: the scripted hub is silent'))
    return Promise.resolve(answer())
  }

  #tell(
    kind: Change['kind'],
    { namespace, name, uid }: { namespace: string; name: string; uid: string },
  ): void {
    this.#onChange({ kind, namespace, name, uid })
  }
}

function opened(round: NonNullable<CampaignPlan['round']>): RoundState {
  const { participants, minimumUpdates } = round
  return RoundState.fromPartial({
    ...{ round: round.round, attempt: round.attempt, phase: RoundState_Phase.COLLECTING },
    ...{ participants, minimumUpdates, wanted: participants.length, deadlineUnixMs: 4e12 },
  })
}

function historyOf({ current, history }: CampaignState): RoundState[] {
  return current?.phase === RoundState_Phase.DONE ? [current, ...history] : history
}
