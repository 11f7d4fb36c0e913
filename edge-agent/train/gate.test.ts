import { describe, expect, it } from 'vitest'

import { Gate } from './gate.ts'

const patient = new AbortController().signal

/** Whether it has passed by now. */
async function passes(passing: Promise<unknown>): Promise<boolean> {
  const later = new Promise<boolean>((resolve) => setImmediate(resolve, false))
  return await Promise.race([passing.then(() => true), later])
}

describe('a gate', () => {
  it('is closed at first, and lets all pass who waited once it opens', async () => {
    const gate = new Gate()
    const waiting = [gate.passed(patient), gate.passed(patient)]
    expect(await passes(Promise.race(waiting))).toBe(false)
    gate.open()
    await Promise.all(waiting)
    expect(await passes(gate.passed(patient))).toBe(true)
  })

  it('closes again, and keeps who waited while it was open for a moment only', async () => {
    const gate = new Gate()
    const waiting = gate.passed(patient)
    gate.open()
    gate.close()
    gate.close()
    expect(await passes(waiting)).toBe(false)
    gate.open()
    await waiting
  })

  it('is waited for no longer than the signal wants', async () => {
    const gate = new Gate()
    const stop = new AbortController()
    const waiting = gate.passed(stop.signal)
    stop.abort(new Error('given up'))
    await expect(waiting).rejects.toThrow('given up')
    gate.open()
    await expect(gate.passed(stop.signal)).rejects.toThrow('given up')
  })
})
