// All campaigns of the hub: read from the disk at the start, one runner each.
import { join } from 'node:path'
import { TierError } from '../serving/errors.ts'
import type { CheckedCampaignPlan } from '../plans.ts'
import { listDirectory, makeDirectory, removeTree } from '../store/files.ts'
import { Campaign } from './campaign.ts'
import { dropMergedBytes } from './spool.ts'
import { CampaignRunner, type RunnerContext } from './runner.ts'

export class Campaigns {
  readonly #directory: string
  readonly #context: RunnerContext
  readonly #entries = new Map<string, { campaign: Campaign; runner: CampaignRunner }>()
  readonly #deletions = new Map<string, Promise<void>>()
  readonly #onChange: (campaign: Campaign) => void
  #creating: Promise<unknown> = Promise.resolve()

  constructor(root: string, context: RunnerContext, onChange: (campaign: Campaign) => void) {
    this.#directory = join(root, 'campaigns')
    this.#context = context
    this.#onChange = onChange
  }

  async load(): Promise<void> {
    await makeDirectory(this.#directory)
    for (const uid of await listDirectory(this.#directory)) {
      const campaign = await Campaign.load(join(this.#directory, uid))
      if (!campaign) continue
      for (const round of campaign.rounds.values()) {
        if (round.result) await dropMergedBytes(campaign, round, this.#context.spares)
      }
      this.#add(campaign)
    }
  }

  get(uid: string): Campaign | undefined {
    return this.#entries.get(uid)?.campaign
  }

  all(): Campaign[] {
    return [...this.#entries.values()].map(({ campaign }) => campaign)
  }

  async apply(plan: CheckedCampaignPlan): Promise<Campaign> {
    const creation = this.#creating.then(async () => {
      const known = this.get(plan.uid)
      if (known) return known
      const campaign = await Campaign.create(join(this.#directory, plan.uid), plan)
      this.#add(campaign)
      return campaign
    })
    this.#creating = creation.catch(() => undefined)
    const campaign = await creation
    refuseUnreachableRound(campaign, plan)
    await campaign.applyPlan(plan, this.#context.clock.now())
    return campaign
  }

  /** Resolves once nothing of the campaign is left, also for whoever asks again meanwhile. */
  async delete(uid: string): Promise<void> {
    const entry = this.#entries.get(uid)
    if (!entry) return this.#deletions.get(uid)
    this.#entries.delete(uid)
    const deletion = this.#delete(entry).finally(() => this.#deletions.delete(uid))
    this.#deletions.set(uid, deletion)
    return deletion
  }

  async #delete(entry: { campaign: Campaign; runner: CampaignRunner }): Promise<void> {
    entry.campaign.end('CampaignDeleted')
    await entry.runner.stop()
    await removeTree(entry.campaign.directory)
    this.#onChange(entry.campaign)
    this.#context.sweep()
  }

  /** Lets campaigns that wait for this model's first version go on. */
  modelChanged(modelUid: string): void {
    for (const { campaign, runner } of this.#entries.values()) {
      if (campaign.plan.modelUid === modelUid) runner.poke()
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ runner }) => runner.stop()))
  }

  #add(campaign: Campaign): void {
    campaign.observe(() => this.#onChange(campaign))
    this.#entries.set(campaign.uid, { campaign, runner: new CampaignRunner(campaign, this.#context) })
    this.#onChange(campaign)
  }
}

/** Rounds follow one another; a plan for any other round would wait for ever, so it is refused at once. */
function refuseUnreachableRound(campaign: Campaign, plan: CheckedCampaignPlan): void {
  const wanted = plan.round?.round
  const current = campaign.current
  if (wanted === undefined || wanted === current?.number) return
  const next = current ? (current.closed ? current.number + 1 : current.number) : 1
  if (wanted <= next) return
  throw new TierError(
    'conflict',
    'RoundNotNext',
    `round ${wanted} of campaign ${plan.uid} cannot open: the next round is ${next}`,
  )
}
