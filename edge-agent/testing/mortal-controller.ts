// Starts an edge controller as a child process, kills it without warning, and starts it again on the same folder and port.
import { setTimeout as sleep } from 'node:timers/promises'

import { MortalProcess } from '#federation/tier/testing/mortal-process.ts'

import type { ControllerProcessSettings } from './controller-process.ts'

const SERVING = 'edge controller is serving'
/** Its port may be lent to a connection of somebody else for a moment. */
const MOST_STARTS = 10
const BETWEEN_STARTS_MS = 300

export class MortalController extends MortalProcess {
  readonly settings: ControllerProcessSettings

  constructor(settings: ControllerProcessSettings, preloads: readonly URL[] = []) {
    super({ entry: new URL('./controller-process.ts', import.meta.url), preloads })
    this.settings = settings
  }

  /** Fulfilled once it serves, or has ended of its own will because another one has taken over. */
  async start(): Promise<void> {
    for (let starts = 1; ; starts++) {
      try {
        await this.launch(this.settings, (line) => (line.includes(SERVING) ? true : undefined))
        return
      } catch (error) {
        if (this.exitCode === 0) return
        if (starts >= MOST_STARTS) throw error
        await sleep(BETWEEN_STARTS_MS)
      }
    }
  }
}
