import { describe, expect, it } from 'vitest'
import type { ListPage } from './api.ts'
import { ApiError } from './errors.ts'
import { ManualClock, settle } from './testing/manual-clock.ts'
import type { KubeObject } from './types.ts'
import { fallBack, runWatch, step, WATCH_TIMING } from './watch.ts'
import type { Trouble, WatchOutput, WatchSource, WatchState } from './watch.ts'
import type { WatchEvent, WatchStream } from './watch-stream.ts'

const anObject = (name: string, resourceVersion = '1'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, uid: `uid-${name}`, resourceVersion },
})
const anError = (status: number, reason = 'x', retryAfterMs?: number): ApiError =>
  new ApiError({ status, reason, message: 'no', retryAfterMs })

/** A stream of prepared answers; after the last it stays silent. */
const aStream = (...answers: (WatchEvent<KubeObject> | 'end' | ApiError)[]): WatchStream<KubeObject> => ({
  next: () => {
    const answer = answers.shift()
    if (answer === undefined) return new Promise(() => undefined)
    if (answer instanceof ApiError) return Promise.reject(answer)
    return Promise.resolve(answer === 'end' ? undefined : answer)
  },
  close: () => undefined,
})
const aSource = (source: Partial<WatchSource<KubeObject>>): WatchSource<KubeObject> => ({
  list: () => Promise.reject(new Error('no list expected')),
  watch: () => Promise.reject(new Error('no watch expected')),
  ...source,
})
const aPage = (page: Partial<ListPage<KubeObject>>): ListPage<KubeObject> => ({
  items: [],
  resourceVersion: '10',
  ...page,
})

const empty: WatchState<KubeObject> = { phase: 'Empty', pageSize: 500 }
const listing: WatchState<KubeObject> = { phase: 'Listing', pageSize: 500, continueToken: 'next' }
const listed: WatchState<KubeObject> = { phase: 'Listed', pageSize: 500, resourceVersion: '10', refusals: 0 }
const watching = (
  ...answers: Parameters<typeof aStream>
): WatchState<KubeObject> & { phase: 'Watching' } => ({
  phase: 'Watching',
  pageSize: 500,
  resourceVersion: '10',
  refusals: 0,
  stream: aStream(...answers),
})

describe('one step', () => {
  it('begins with announcing a new list', async () => {
    const { state, output } = await step(empty, aSource({}))
    expect(state).toEqual({ phase: 'Listing', pageSize: 500 })
    expect(output).toEqual({ type: 'restarted' })
  })

  it('asks for the page that the last one named', async () => {
    const asked: unknown[] = []
    const list = (limit: number, token?: string): Promise<ListPage<KubeObject>> => {
      asked.push(limit, token)
      return Promise.resolve(aPage({ items: [anObject('a')], continueToken: 'more' }))
    }
    const { state, output } = await step(listing, aSource({ list }))
    expect(asked).toEqual([500, 'next'])
    expect(state).toEqual({ phase: 'Listing', pageSize: 500, continueToken: 'more' })
    expect(output).toEqual({ type: 'page', objects: [anObject('a')] })
  })

  it('is listed after the last page, at its version', async () => {
    const { state } = await step(listing, aSource({ list: () => Promise.resolve(aPage({})) }))
    expect(state).toEqual(listed)
  })

  it('watches from the version of the list', async () => {
    const versions: string[] = []
    const stream = aStream()
    const watch = (version: string): Promise<WatchStream<KubeObject>> => {
      versions.push(version)
      return Promise.resolve(stream)
    }
    const { state } = await step(listed, aSource({ watch }))
    expect(versions).toEqual(['10'])
    expect(state).toMatchObject({ phase: 'Watching', resourceVersion: '10', stream })
  })

  it.each([
    { type: 'ADDED', want: 'applied' },
    { type: 'MODIFIED', want: 'applied' },
    { type: 'DELETED', want: 'deleted' },
  ] as const)('turns $type into $want and moves on to its version', async ({ type, want }) => {
    const { state, output } = await step(watching({ type, object: anObject('a', '11') }), aSource({}))
    expect(output).toEqual({ type: want, object: anObject('a', '11') })
    expect(state).toMatchObject({ phase: 'Watching', resourceVersion: '11' })
  })

  it('moves on to the version of a bookmark, silently, and forgets refusals', async () => {
    const before = { ...watching({ type: 'BOOKMARK', object: anObject('', '12') }), refusals: 2 }
    const { state, output } = await step(before, aSource({}))
    expect(output).toBeUndefined()
    expect(state).toMatchObject({ resourceVersion: '12', refusals: 0 })
  })

  it('goes on from its version when the stream ends', async () => {
    const { state, failure } = await step(watching('end'), aSource({}))
    expect(state).toEqual(listed)
    expect(failure).toBeUndefined()
  })

  it('takes what is no ApiError for a broken connection', async () => {
    const { state, failure } = await step(listed, aSource({}))
    expect(state).toEqual(listed)
    expect(failure).toMatchObject({ status: 0, reason: 'ConnectionFailed' })
  })
})

describe('falling back', () => {
  const cases: { name: string; from: WatchState<KubeObject>; failure: ApiError; want: object }[] = [
    { name: 'a page that fails is asked for again', from: listing, failure: anError(500), want: listing },
    { name: 'an expired page means a new list', from: listing, failure: anError(410), want: empty },
    {
      name: 'a page too large means a new list in smaller pages',
      from: listing,
      failure: anError(0, 'ResponseTooLarge'),
      want: { phase: 'Empty', pageSize: 125 },
    },
    {
      name: 'a page of one is not made smaller',
      from: { phase: 'Listing', pageSize: 1 },
      failure: anError(0, 'ResponseTooLarge'),
      want: { phase: 'Empty', pageSize: 1 },
    },
    { name: 'a watch that cannot connect is opened again', from: listed, failure: anError(0), want: listed },
    { name: 'a watch refused for load is opened again', from: listed, failure: anError(429), want: listed },
    {
      name: 'a watch refused for credentials is opened again',
      from: listed,
      failure: anError(401),
      want: listed,
    },
    { name: 'an expired version means a new list', from: listed, failure: anError(410), want: empty },
    { name: 'a version not understood means a new list', from: listed, failure: anError(400), want: empty },
    { name: 'a kind that vanished means a new list', from: listed, failure: anError(404), want: empty },
    { name: 'a 5xx is a refusal', from: listed, failure: anError(504), want: { ...listed, refusals: 1 } },
    {
      name: 'the third refusal in a row means a new list',
      from: { ...watching(), refusals: 2 },
      failure: anError(500),
      want: empty,
    },
    {
      name: 'a reset does not count as a refusal',
      from: { ...watching(), refusals: 2 },
      failure: anError(0),
      want: { ...listed, refusals: 2 },
    },
    { name: 'an expired watch means a new list', from: watching(), failure: anError(410), want: empty },
    {
      name: 'an event that cannot be read means a new list',
      from: watching(),
      failure: anError(0, 'MalformedResponse'),
      want: empty,
    },
    {
      name: 'an event too large means a new list',
      from: watching(),
      failure: anError(0, 'ResponseTooLarge'),
      want: empty,
    },
  ]
  it.each(cases)('$name', ({ from, failure, want }) => {
    expect(fallBack(from, failure)).toEqual(want)
  })
})

describe('running', () => {
  const run = (
    source: WatchSource<KubeObject>,
  ): { clock: ManualClock; outputs: string[]; troubles: Trouble[]; stop: () => void } => {
    const clock = new ManualClock()
    const stopping = new AbortController()
    const outputs: string[] = []
    const troubles: Trouble[] = []
    const sink = (output: WatchOutput<KubeObject>): void => {
      outputs.push(output.type)
    }
    const onTrouble = (trouble: Trouble): void => {
      troubles.push(trouble)
    }
    const timing = { ...WATCH_TIMING, backOffMinMs: 100, backOffMaxMs: 1000, healthyAfterMs: 5000 }
    runWatch({
      source,
      sink,
      onTrouble,
      timing,
      clock,
      random: () => 1,
      signal: stopping.signal,
    }).catch((error: unknown) => troubles.push({ reason: 'threw', message: String(error), delayMs: 0 }))
    const stop = (): void => {
      stopping.abort()
    }
    return { clock, outputs, troubles, stop }
  }

  it('says when the list is complete, before any event', async () => {
    const { outputs, stop } = run(
      aSource({
        list: () => Promise.resolve(aPage({ items: [anObject('a')] })),
        watch: () => Promise.resolve(aStream({ type: 'ADDED', object: anObject('b', '11') })),
      }),
    )
    await settle()
    expect(outputs).toEqual(['restarted', 'page', 'listed', 'applied'])
    stop()
  })

  it('waits longer after each failure, up to the limit, and at least as long as it is told', async () => {
    const { clock, troubles, stop } = run(
      aSource({ list: () => Promise.reject(anError(429, 'TooManyRequests', 300)) }),
    )
    await clock.advance(10_000)
    expect(troubles.slice(0, 6).map(({ delayMs }) => delayMs)).toEqual([300, 300, 400, 800, 1000, 1000])
    stop()
  })

  it('does not take lists that succeed between failing watches for progress', async () => {
    const { clock, troubles, stop } = run(
      aSource({ list: () => Promise.resolve(aPage({})), watch: () => Promise.reject(anError(410)) }),
    )
    await clock.advance(1600)
    expect(troubles.map(({ delayMs }) => delayMs)).toEqual([100, 200, 400, 800, 1000])
    stop()
  })

  it('slows down when streams end at once, and not when they end in their time', async () => {
    const opened: number[] = []
    const stream = (clock: ManualClock): WatchStream<KubeObject> => ({
      next: () =>
        new Promise((resolve) => {
          clock.after(opened.length <= 3 ? 0 : 30_000, () => {
            resolve(undefined)
          })
        }),
      close: () => undefined,
    })
    const { clock, troubles, stop } = run(
      aSource({
        list: () => Promise.resolve(aPage({})),
        watch: () => {
          opened.push(clock.monotonic())
          return Promise.resolve(stream(clock))
        },
      }),
    )
    await clock.advance(70_000)
    expect(opened).toEqual([0, 100, 300, 700, 30_700, 60_700])
    expect(troubles.map(({ reason }) => reason)).toEqual(['EndedAtOnce', 'EndedAtOnce', 'EndedAtOnce'])
    stop()
  })

  it('begins with the smallest wait again after an event', async () => {
    let opened = 0
    const { clock, troubles, stop } = run(
      aSource({
        list: () => Promise.resolve(aPage({})),
        watch: () => {
          opened += 1
          const event: WatchEvent<KubeObject> = { type: 'MODIFIED', object: anObject('a', String(opened)) }
          return Promise.resolve(opened === 3 ? aStream(event, anError(0)) : aStream(anError(0)))
        },
      }),
    )
    await clock.advance(500)
    expect(troubles.map(({ delayMs }) => delayMs)).toEqual([100, 200, 100, 200])
    stop()
  })
})
