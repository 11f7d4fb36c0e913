// Starts an edge controller as a child process, kills it without warning, and starts it again on the same folder and port.
import { setTimeout as sleep } from 'node:timers/promises'

import { MortalProcess } from '#federation/tier/testing/mortal-process.ts'

import type { ControllerProcessSettings } from './controller-process.ts'

const SERVING = 'edge controller is serving'
/** Its port may be lent to a connection of somebody else for a moment. */
const MOST_STARTS = 10
const BETWEEN_STARTS_MS = 300

export class MortalController {
  readonly settings: ControllerProcessSettings
  readonly #process: MortalProcess

  constructor(settings: ControllerProcessSettings, preloads: readonly URL[] = []) {
    this.settings = settings
    this.#process = new MortalProcess({
      entry: new URL('./controller-process.ts', import.meta.url),
      preloads,
    })
  }

  /** Fulfilled once it serves, or has ended of its own will because another one has taken over. */
  async start(): Promise<void> {
    for (let starts = 1; ; starts++) {
      try {
        await this.#process.start(this.settings, (line) => (line.includes(SERVING) ? true : undefined))
        return
      } catch (error) {
        if (this.#process.exitCode === 0) return
        if (starts >= MOST_STARTS) throw error
        await sleep(BETWEEN_STARTS_MS)
      }
    }
  }

  get isRunning(): boolean {
    return this.#process.isRunning
  }

  /** Undefined while it runs, and when it was killed. */
  get exitCode(): number | undefined {
    return this.#process.exitCode
  }

  async gone(): Promise<void> {
    await this.#process.gone()
  }

  strike(): void {
    this.#process.strike()
  }

  async kill(): Promise<void> {
    await this.#process.kill()
  }
}
