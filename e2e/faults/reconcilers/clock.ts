// A clock on which every delay passes faster, so that back-offs and regular looks of seconds cost milliseconds. The
// time of day stays true: it is compared with what the API server wrote.
import { createClock } from '#operator/kube/clock.ts'
import type { Clock } from '#operator/kube/clock.ts'

export function fastClock(times: number): Clock {
  const real = createClock({
    now: () => Date.now(),
    monotonic: () => performance.now(),
  })
  return {
    now: () => real.now(),
    monotonic: () => real.monotonic() * times,
    after: (delayMs, callback) => real.after(delayMs / times, callback),
  }
}
