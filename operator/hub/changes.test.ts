import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Change_Kind, type Change } from '#federation/wire/generated/tributary.ts'
import { Changes } from './changes.ts'

let changes: Changes
let told: string[]
beforeEach(() => {
  vi.useFakeTimers()
  changes = new Changes()
  told = []
  changes.subscribe((all) => told.push(all.map(({ name }) => name).join(' ')))
})
afterEach(() => {
  changes.stop()
  vi.useRealTimers()
})

function change(name: string): Change {
  return { kind: Change_Kind.CAMPAIGN, namespace: 'city', name, uid: name }
}

describe('a change', () => {
  it('is told at once, and those of the next moment together, each object once', () => {
    changes.notify(change('first'))
    vi.advanceTimersByTime(0)
    expect(told).toEqual(['first'])
    for (const name of ['first', 'second', 'first']) changes.notify(change(name))
    vi.advanceTimersByTime(49)
    expect(told).toEqual(['first'])
    vi.advanceTimersByTime(1)
    expect(told).toEqual(['first', 'first second'])
  })

  it('to another stage is told at once, with what waits', () => {
    changes.notify(change('first'), 'collecting')
    vi.advanceTimersByTime(0)
    changes.notify(change('second'))
    changes.notify(change('first'), 'collecting')
    vi.advanceTimersByTime(0)
    expect(told).toEqual(['first'])
    changes.notify(change('first'), 'done')
    vi.advanceTimersByTime(0)
    expect(told).toEqual(['first', 'second first'])
    vi.advanceTimersByTime(100)
    expect(told).toEqual(['first', 'second first'])
  })

  it('is told to nobody after the end', () => {
    changes.notify(change('first'))
    changes.stop()
    vi.advanceTimersByTime(100)
    expect(told).toEqual([])
  })
})
