// The parent's newest plan until it is followed: one at a time, and again after a pause where that fails, as on a disk that is full.
// A plan is whole, so what came before the newest one is of no use any more.
import type { TierPlan } from '#federation/wire/generated/tributary.ts'

const RETRY_MS = 5_000

export interface PlanInboxOptions {
  /** A repeat does no harm. */
  readonly follow: (plan: TierPlan) => Promise<void>
  readonly onProblem: (error: unknown) => void
}

export class PlanInbox {
  readonly #options: PlanInboxOptions
  #newest: TierPlan | undefined
  #working: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: PlanInboxOptions) {
    this.#options = options
  }

  put(plan: TierPlan): void {
    this.#newest = plan
    this.#work()
  }

  /** Nothing is followed once this is fulfilled. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#working
  }

  #work(): void {
    clearTimeout(this.#timer)
    this.#working = this.#working.then(async () => await this.#followNewest())
  }

  async #followNewest(): Promise<void> {
    const plan = this.#newest
    if (!plan || this.#stopped) return
    try {
      await this.#options.follow(plan)
      if (this.#newest === plan) this.#newest = undefined
    } catch (error) {
      this.#options.onProblem(error)
      clearTimeout(this.#timer)
      if (!this.#isStopped()) this.#timer = setTimeout(() => this.#work(), RETRY_MS)
    }
  }

  #isStopped(): boolean {
    return this.#stopped
  }
}
