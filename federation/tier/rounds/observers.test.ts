import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Observers } from './observers.ts'

let observers: Observers
let looks: number
let stop: () => void
beforeEach(() => {
  vi.useFakeTimers()
  observers = new Observers()
  looks = 0
  stop = observers.add(() => (looks += 1))
})
afterEach(() => vi.useRealTimers())

describe('an observer', () => {
  it('looks soon, and once for the changes of a moment', () => {
    observers.changed()
    expect(looks).toBe(0)
    vi.advanceTimersByTime(0)
    expect(looks).toBe(1)
    observers.changed()
    observers.changed()
    vi.advanceTimersByTime(4)
    expect(looks).toBe(1)
    vi.advanceTimersByTime(1)
    expect(looks).toBe(2)
    vi.advanceTimersByTime(100)
    expect(looks).toBe(2)
  })

  it('that asks for another look when it looks gets it, after a moment', () => {
    stop()
    observers.add(() => {
      looks += 1
      if (looks === 1) observers.changed()
    })
    observers.changed()
    vi.advanceTimersByTime(4)
    expect(looks).toBe(1)
    vi.advanceTimersByTime(5)
    expect(looks).toBe(2)
  })

  it('looks no more once it has stopped', () => {
    stop()
    observers.changed()
    vi.advanceTimersByTime(100)
    expect(looks).toBe(0)
  })
})
