// The edge controllers below a tier as they have introduced themselves: where they are and what certificate they show is on the
// disk, so that after a restart training pods are sent to them at once; whether they are connected, and what they report, is only
// known while this process lives. A controller that was lost counts as there for a moment: links come back.
import { join } from 'node:path'
import type { Parent, ParticipantState, TierReport } from '../../wire/generated/tributary.ts'
import { listDirectory, readRecord, writeRecord } from '../store/files.ts'
import { ControllerRecord } from '../store/records.ts'
import type { CheckedTierNode } from './tier-nodes.ts'

/** How long a controller that dropped off still has its pods. Pods themselves leave it after the same silence. */
export const LOST_AFTER_MS = 30_000
/** Pods of earlier epochs that are remembered for a tier. */
const MOST_FENCED = 100

export interface Introduction {
  readonly address: string
  readonly certificate: string
}

export class Controllers {
  readonly #directory: string
  readonly #onChange: () => void
  readonly #records = new Map<string, ControllerRecord>()
  readonly #connected = new Map<string, unknown>()
  readonly #lastSeenMs = new Map<string, number>()
  readonly #reports = new Map<string, CheckedReport>()
  /** Run while a controller that is not connected still counts as there. */
  readonly #grace = new Map<string, NodeJS.Timeout>()

  constructor(campaignDirectory: string, onChange: () => void) {
    this.#directory = join(campaignDirectory, 'controllers')
    this.#onChange = onChange
  }

  async load(): Promise<void> {
    for (const file of await listDirectory(this.#directory)) {
      if (!file.endsWith('.json')) continue
      const record = await readRecord(join(this.#directory, file), ControllerRecord)
      const tier = file.slice(0, -'.json'.length)
      if (!record) continue
      this.#records.set(tier, record)
      if (record.hello) this.#expectBack(tier)
    }
  }

  stop(): void {
    for (const timer of this.#grace.values()) clearTimeout(timer)
    this.#grace.clear()
  }

  /** Where the pods of this tier should go; undefined when its present controller is not there. */
  introductionOf(tier: CheckedTierNode): Parent | undefined {
    const hello = this.#records.get(tier.name)?.hello
    if (hello?.pod !== tier.pod || hello.epoch !== tier.epoch) return undefined
    if (!this.#connected.has(tier.name) && !this.#grace.has(tier.name)) return undefined
    const { address, certificate } = hello
    return { tier: tier.name, epoch: tier.epoch, address, certificate }
  }

  /** Whether this pod was a controller of the tier and is not any more. */
  isFenced(tier: string, pod: string): boolean {
    return this.#records.get(tier)?.fenced.includes(pod) ?? false
  }

  isConnected(tier: string): boolean {
    return this.#connected.has(tier)
  }

  lastSeenMs(tier: string): number {
    return this.#lastSeenMs.get(tier) ?? 0
  }

  reportOf(tier: string): CheckedReport | undefined {
    return this.#reports.get(tier)
  }

  /** To be called before a plan takes effect: from then on controllers that it replaces say nothing that counts. */
  async replace(before: readonly CheckedTierNode[], now: readonly CheckedTierNode[]): Promise<void> {
    const pods = new Map(now.map(({ name, pod }) => [name, pod]))
    for (const { name, pod } of before) {
      if (pods.get(name) === pod) continue
      const { hello, fenced } = this.#records.get(name) ?? { fenced: [] }
      const others = fenced.filter((other) => other !== pod)
      const kept = hello && hello.pod !== pod ? { hello } : {}
      await this.#save(name, { ...kept, fenced: [...others, pod].slice(-MOST_FENCED) })
      this.#connected.delete(name)
      this.#reports.delete(name)
    }
  }

  /** @param session stands for the stream */
  async connect(tier: CheckedTierNode, introduction: Introduction, session: unknown): Promise<void> {
    const { address, certificate } = introduction
    const record = this.#records.get(tier.name) ?? { fenced: [] }
    const hello = { pod: tier.pod, epoch: tier.epoch, address, certificate }
    if (JSON.stringify(record.hello) !== JSON.stringify(hello))
      await this.#save(tier.name, { ...record, hello })
    this.#connected.set(tier.name, session)
    clearTimeout(this.#grace.get(tier.name))
    this.#grace.delete(tier.name)
  }

  /** A newer stream of the tier may have taken this one's place. */
  disconnect(tier: string, session: unknown): void {
    if (this.#connected.get(tier) !== session) return
    this.#connected.delete(tier)
    this.#expectBack(tier)
    this.#onChange()
  }

  seen(tier: string, nowMs: number): void {
    this.#lastSeenMs.set(tier, nowMs)
  }

  report(tier: string, report: CheckedReport): void {
    this.#reports.set(tier, report)
  }

  #expectBack(tier: string): void {
    clearTimeout(this.#grace.get(tier))
    const timer = setTimeout(() => {
      this.#grace.delete(tier)
      this.#onChange()
    }, LOST_AFTER_MS)
    this.#grace.set(tier, timer.unref())
  }

  async #save(tier: string, record: ControllerRecord): Promise<void> {
    await writeRecord(join(this.#directory, `${tier}.json`), record)
    this.#records.set(tier, record)
  }
}

/** What a controller says of its round and its pods, held to sizes, and to the nodes that are its own. */
export interface CheckedReport extends Omit<TierReport, 'participants'> {
  readonly participants: ReadonlyMap<string, ParticipantState>
}

const MOST_REASON = 64
const MOST_MESSAGE = 512

export function checkedReport(report: TierReport, members: ReadonlySet<string>): CheckedReport {
  const own = report.participants.filter(({ node }) => members.has(node))
  return {
    ...report,
    problemReason: report.problemReason.slice(0, MOST_REASON),
    problemMessage: report.problemMessage.slice(0, MOST_MESSAGE),
    participants: new Map(own.map((state) => [state.node, state])),
  }
}
