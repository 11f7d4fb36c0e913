// A hub whose volume was empty at the start knows of no models until the operator has applied its own, one after
// another. Until that is likely done, an agent must not be told anything that would have it remove what it serves.
// How long this lasts is on the volume before the first plan, so a crash meanwhile does not end it early.
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '#federation/tier/clock.ts'
import { readRecord, writeRecord } from '#federation/tier/store/files.ts'

const HoldRecord = z.object({ heldUntilMs: z.number() })

export interface FleetHoldOptions {
  /** How long agents keep what they have after the first plan. */
  readonly holdMs: number
  readonly clock: Clock
  /** Called when the hold ends by time. */
  readonly onEnd: () => void
}

export class FleetHold {
  readonly #path: string
  readonly #options: FleetHoldOptions
  #held = false
  #begun: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(root: string, options: FleetHoldOptions) {
    this.#path = join(root, 'fleet.json')
    this.#options = options
  }

  /** @param hasPlans whether the volume holds a plan of a model */
  async load(hasPlans: boolean): Promise<void> {
    const record = await readRecord(this.#path, HoldRecord)
    if (record) {
      this.#begun = Promise.resolve()
      this.#holdFor(record.heldUntilMs - this.#options.clock.now())
    } else this.#held = !hasPlans
  }

  /** Whether agents keep what they have. */
  get held(): boolean {
    return this.#held
  }

  /** To be called before a plan is written. */
  async planComes(): Promise<void> {
    if (!this.#held) return
    this.#begun ??= this.#begin()
    await this.#begun
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  async #begin(): Promise<void> {
    const { holdMs, clock } = this.#options
    try {
      await writeRecord(this.#path, { heldUntilMs: clock.now() + holdMs })
    } catch (error) {
      this.#begun = undefined
      throw error
    }
    this.#holdFor(holdMs)
  }

  /** A clock that was set back does not make the hold longer. */
  #holdFor(ms: number): void {
    this.#held = ms > 0
    if (!this.#held) return
    this.#timer = setTimeout(
      () => {
        this.#held = false
        this.#options.onEnd()
      },
      Math.min(ms, this.#options.holdMs),
    )
  }
}
