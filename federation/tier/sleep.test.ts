import { describe, expect, it } from 'vitest'
import { orAborted } from './sleep.ts'

describe('work that may be given up', () => {
  it('gives its result', async () => {
    expect(await orAborted(Promise.resolve(3), new AbortController().signal)).toBe(3)
  })

  it('is waited for no longer than it is wanted', async () => {
    const controller = new AbortController()
    const waiting = orAborted(new Promise(() => undefined), controller.signal)
    controller.abort()
    await expect(waiting).rejects.toThrow('no longer wanted')
  })

  // A rejection that nobody handles ends the process, and the test run.
  it('may fail when nobody wants it any more', async () => {
    const work = Promise.withResolvers<never>()
    await expect(orAborted(work.promise, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped')
    work.reject(new Error('the compiler is closed'))
    await new Promise((resolve) => setImmediate(resolve))
  })
})
