import { describe, expect, it } from 'vitest'

import type { Parent } from '#federation/wire/generated/tributary.ts'

import { type Event, type Standing, advance, isSamePlace, nextChangeMs, standingAtStart } from './standing.ts'

const SECOND = 1_000

function controller(epoch: number, changes: Partial<Parent> = {}): Parent {
  return {
    tier: 'north',
    epoch,
    address: `192.0.2.${epoch}:7443`,
    certificate: `certificate ${epoch}`,
    ...changes,
  }
}

const introduced = (parent: Parent): Event => ({ kind: 'introduced', parent })
const answered: Event = { kind: 'answered' }
const lost: Event = { kind: 'lost' }
const dismissed: Event = { kind: 'dismissed' }
const timePassed: Event = { kind: 'timePassed' }

/** What was seen, each at a second. */
type Story = readonly (readonly [second: number, event: Event])[]

function follow(story: Story, start = standingAtStart(undefined, 0), random = 0.999): Standing {
  return story.reduce(
    (standing, [second, event]) => advance(standing, event, { nowMs: second * SECOND, random }),
    start,
  )
}

/** `hub`, or the epoch of the controller. */
function place({ at, parent }: Standing): string | number | undefined {
  return at === 'hub' ? at : parent?.epoch
}

const remembering = standingAtStart({ parent: controller(3), epochs: { north: 3 } }, 0)
const LEFT: Story = [
  [0, introduced(controller(1))],
  [1, answered],
  [10, lost],
  [40, timePassed],
]

describe('where a training pod belongs', () => {
  const cases: { name: string; start?: Standing; story: Story; want: string | number }[] = [
    { name: 'is the hub at first', story: [], want: 'hub' },
    { name: 'is the hub while that gives it work', story: [[1, answered]], want: 'hub' },
    {
      name: 'is the hub, also while that cannot be reached and nobody else is known',
      story: [
        [1, lost],
        [99, timePassed],
      ],
      want: 'hub',
    },
    { name: 'is an introduced controller at once', story: [[1, introduced(controller(1))]], want: 1 },
    {
      name: 'stays the controller while it answers',
      story: [
        [1, introduced(controller(1))],
        [2, answered],
        [3600, timePassed],
      ],
      want: 1,
    },
    {
      name: 'stays the controller through a silence of less than 30 s',
      story: [
        [1, introduced(controller(1))],
        [2, answered],
        [10, lost],
        [39, timePassed],
      ],
      want: 1,
    },
    {
      name: 'stays the controller when it answers again in time',
      story: [
        [1, introduced(controller(1))],
        [2, answered],
        [10, lost],
        [39, answered],
        [41, timePassed],
      ],
      want: 1,
    },
    {
      name: 'counts a silence from its beginning, however often it is tried',
      story: [
        [1, introduced(controller(1))],
        [2, answered],
        [10, lost],
        [20, lost],
        [39.9, lost],
        [40, timePassed],
      ],
      want: 'hub',
    },
    { name: 'is the hub after a silence of 30 s', story: LEFT, want: 'hub' },
    {
      name: 'is the hub when a controller never answered at all',
      story: [
        [1, introduced(controller(1))],
        [31, timePassed],
      ],
      want: 'hub',
    },
    {
      name: 'is the hub at once when the controller says that it was replaced',
      story: [
        [1, introduced(controller(1))],
        [2, answered],
        [3, dismissed],
      ],
      want: 'hub',
    },
    {
      name: 'is the next controller of the tier at once',
      story: [...LEFT, [41, introduced(controller(2))]],
      want: 2,
    },
    {
      name: 'is the same controller at once when it comes back under another address',
      story: [...LEFT, [41, introduced(controller(1, { address: '192.0.2.9:7443' }))]],
      want: 1,
    },
    {
      name: 'is the same controller at once when it comes back with another certificate',
      story: [...LEFT, [41, introduced(controller(1, { certificate: 'new' }))]],
      want: 1,
    },
    {
      name: 'is not at once the controller that was left, though the hub names it again',
      story: [...LEFT, [41, introduced(controller(1))], [69, timePassed]],
      want: 'hub',
    },
    {
      name: 'is the controller that was left after a pause, when the hub names it again',
      story: [...LEFT, [41, introduced(controller(1))], [70, timePassed]],
      want: 1,
    },
    {
      name: 'is not the controller that was left once the hub gives work itself',
      story: [...LEFT, [41, answered], [600, timePassed]],
      want: 'hub',
    },
    {
      name: 'is never a controller of an earlier epoch',
      story: [
        [1, introduced(controller(2))],
        [2, answered],
        [3, introduced(controller(1))],
      ],
      want: 2,
    },
    {
      name: 'is never a controller of an earlier epoch, also not after the later one was left',
      story: [
        [1, introduced(controller(2))],
        [31, timePassed],
        [32, introduced(controller(1))],
        [999, timePassed],
      ],
      want: 2,
    },
    {
      name: 'may be a controller of a low epoch in another tier',
      story: [
        [1, introduced(controller(2))],
        [31, timePassed],
        [32, introduced(controller(1, { tier: 'south' }))],
      ],
      want: 1,
    },
    {
      name: 'is what the controller introduces in its place',
      story: [
        [1, introduced(controller(1))],
        [2, introduced(controller(2))],
      ],
      want: 2,
    },
    {
      name: 'is the hub after a restart, whatever is remembered',
      start: remembering,
      story: [],
      want: 'hub',
    },
    {
      name: 'is the remembered controller when the hub does not answer for 30 s',
      start: remembering,
      story: [
        [29, lost],
        [30, timePassed],
      ],
      want: 3,
    },
    {
      name: 'is not the remembered controller while the hub answers',
      start: remembering,
      story: [
        [1, answered],
        [99, timePassed],
      ],
      want: 'hub',
    },
    {
      name: 'is no controller of an earlier epoch than the remembered one',
      start: remembering,
      story: [[1, introduced(controller(2))]],
      want: 'hub',
    },
    {
      name: 'goes between the two while neither answers',
      story: [...LEFT, [41, lost], [70, timePassed], [100, timePassed]],
      want: 'hub',
    },
  ]
  it.each(cases)('$name', ({ start, story, want }) => {
    expect(place(follow(story, start))).toBe(want)
  })
})

describe('the pause before a controller is tried again', () => {
  /** It is introduced again at once, tried after each pause, and does not answer. */
  function pauses(count: number, random: number, whenTried: Event[] = []): number[] {
    let standing = follow([[0, introduced(controller(1))]], undefined, random)
    let nowMs = 0
    return Array.from({ length: count }, () => {
      const moment = () => ({ nowMs, random })
      for (const event of whenTried) standing = advance(standing, event, moment())
      nowMs = nextChangeMs(standing) ?? NaN
      standing = advance(standing, timePassed, moment())
      const leftMs = nowMs
      standing = advance(standing, introduced(controller(1)), moment())
      nowMs = nextChangeMs(standing) ?? NaN
      standing = advance(standing, timePassed, moment())
      expect(standing.at).toBe('controller')
      return (nowMs - leftMs) / SECOND
    })
  }

  it('doubles up to five minutes', () => {
    expect(pauses(6, 0.99999999)).toEqual([30, 60, 120, 240, 300, 300])
  })

  it('is up to a half shorter by chance, so that a zone does not come back in step', () => {
    expect(pauses(3, 0)).toEqual([15, 30, 60])
  })

  it('grows also when the controller says a word each time', () => {
    expect(pauses(3, 0, [answered, lost])).toEqual([15, 30, 60])
  })

  it('is the shortest again after the controller answered for a minute', () => {
    const bad = follow([...LEFT, [41, introduced(controller(1))], [70, timePassed], [71, answered]])
    const left = (seconds: number) => {
      const standing = follow(
        [
          [seconds, lost],
          [seconds + 30, timePassed],
        ],
        bad,
      )
      return Math.round((standing.retryAtMs - (seconds + 30) * SECOND) / SECOND)
    }
    expect([left(130), left(131)]).toEqual([60, 30])
  })
})

describe('nextChangeMs', () => {
  it.each<{ name: string; story: Story; want: number | undefined }>([
    { name: 'nothing changes while the hub alone is known', story: [[1, lost]], want: undefined },
    {
      name: 'nothing changes while the controller answers',
      story: [
        [1, introduced(controller(1))],
        [2, answered],
      ],
      want: undefined,
    },
    {
      name: 'a silent controller is left after 30 s',
      story: [
        [1, introduced(controller(1))],
        [2, answered],
        [5, lost],
      ],
      want: 35_000,
    },
  ])('$name', ({ story, want }) => {
    expect(nextChangeMs(follow(story))).toBe(want)
  })
})

describe('isSamePlace', () => {
  const one = follow([[1, introduced(controller(1))]])
  it.each([
    { name: 'the hub and the hub', other: follow(LEFT), of: follow([]), want: true },
    { name: 'the hub and a controller', other: one, of: follow([]), want: false },
    {
      name: 'a controller that has answered since',
      other: follow([[9, answered]], one),
      of: one,
      want: true,
    },
    {
      name: 'a controller and the next',
      other: follow([[9, introduced(controller(2))]], one),
      of: one,
      want: false,
    },
  ])('$name', ({ other, of, want }) => {
    expect(isSamePlace(of, other)).toBe(want)
  })
})
