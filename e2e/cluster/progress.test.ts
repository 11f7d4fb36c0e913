import { describe, expect, it } from 'vitest'
import { elapsed, progressTo } from './progress.ts'

function recording(isTTY: boolean): {
  written: string[]
  advance: (ms: number) => void
  target: Parameters<typeof progressTo>[0]
} {
  const written: string[] = []
  let now = 0
  return {
    written,
    advance: (ms) => {
      now += ms
    },
    target: { isTTY, write: (text) => written.push(text), now: () => now },
  }
}

describe('progress', () => {
  it('gives a sign of life every ten seconds where lines stay', () => {
    const { written, advance, target } = recording(false)
    const step = progressTo(target).begin('building etcd')
    step.update('1 of 9 packages')
    advance(11_000)
    step.update('2 of 9 packages')
    step.update('3 of 9 packages')
    advance(61_000)
    step.end()
    expect(written).toEqual(['building etcd: 2 of 9 packages (11 s)\n', 'building etcd: done (1 min 12 s)\n'])
  })

  it('rewrites one line on a terminal', () => {
    const { written, target } = recording(true)
    const step = progressTo(target).begin('building etcd')
    step.update('1 of 9 packages')
    step.fail()
    expect(written).toEqual([
      '\r\u001b[Kbuilding etcd: 1 of 9 packages (0 s)',
      '\r\u001b[Kbuilding etcd: FAILED (0 s)\n',
    ])
  })

  it.each([
    [999, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min 0 s'],
    [754_000, '12 min 34 s'],
  ])('writes %d ms as %s', (ms, want) => {
    expect(elapsed(ms)).toBe(want)
  })
})
