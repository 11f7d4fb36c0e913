import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FleetHold } from './fleet-hold.ts'

let directory: string
let nowMs = 0
const onEnd = vi.fn()
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-hold-'))
  nowMs = 1_000_000
  onEnd.mockClear()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(async () => {
  vi.useRealTimers()
  await rm(directory, { recursive: true, force: true })
})

async function load(hasPlans: boolean): Promise<FleetHold> {
  const hold = new FleetHold(directory, { holdMs: 60_000, clock: { now: () => nowMs }, onEnd })
  await hold.load(hasPlans)
  return hold
}

describe('a hub on an empty volume', () => {
  it('holds until the first plan is a minute old', async () => {
    const hold = await load(false)
    vi.advanceTimersByTime(3_600_000)
    expect(hold.held).toBe(true)
    await Promise.all([hold.planComes(), hold.planComes()])
    vi.advanceTimersByTime(59_999)
    expect([hold.held, onEnd.mock.calls.length]).toEqual([true, 0])
    vi.advanceTimersByTime(1)
    expect([hold.held, onEnd.mock.calls.length]).toEqual([false, 1])
    await hold.planComes()
    expect(hold.held).toBe(false)
  })

  it('holds for the rest of the minute when it starts again meanwhile', async () => {
    const first = await load(false)
    await first.planComes()
    first.stop()
    nowMs += 40_000
    const second = await load(true)
    vi.advanceTimersByTime(19_999)
    expect(second.held).toBe(true)
    vi.advanceTimersByTime(1)
    expect(second.held).toBe(false)
    nowMs += 20_000
    expect((await load(false)).held).toBe(false)
  })

  it('never holds longer than a minute, whatever the clock says', async () => {
    const first = await load(false)
    await first.planComes()
    first.stop()
    nowMs = 0
    const second = await load(true)
    vi.advanceTimersByTime(60_000)
    expect(second.held).toBe(false)
  })
})

describe('a hub that finds plans', () => {
  it('holds nothing', async () => {
    expect((await load(true)).held).toBe(false)
  })
})
