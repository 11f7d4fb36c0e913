// Waiting with an end: every wait is bounded and its failure names what was awaited and what was last seen.
import { setTimeout as sleep } from 'node:timers/promises'

export interface WaitOptions {
  readonly what: string
  readonly timeoutMs: number
  readonly intervalMs?: number
}

/** Asks until the answer is not undefined; an attempt that throws counts as "not yet" and is quoted at the end. */
export async function waitFor<T>(options: WaitOptions, attempt: () => Promise<T | undefined>): Promise<T> {
  const deadline = AbortSignal.timeout(options.timeoutMs)
  let lastTrouble = ''
  for (;;) {
    try {
      const answer = await attempt()
      if (answer !== undefined) return answer
    } catch (error) {
      lastTrouble = error instanceof Error ? error.message : String(error)
    }
    if (deadline.aborted) {
      const seconds = String(Math.round(options.timeoutMs / 1000))
      throw new Error(
        `${options.what}: not after ${seconds} s${lastTrouble === '' ? '' : `; last: ${lastTrouble}`}`,
      )
    }
    await sleep(options.intervalMs ?? 200)
  }
}
