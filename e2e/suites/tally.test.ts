import { describe, expect, it } from 'vitest'
import { add, exitCode, NOTHING, summary, tallyOfReport } from './tally.ts'

const file = (status: string, ...tests: string[]): object => ({
  status,
  assertionResults: tests.map((test) => ({ status: test })),
})

describe('the tally of a vitest report', () => {
  it.each([
    { name: 'counts tests', files: [file('passed', 'passed', 'passed')], code: 0, want: [2, 0, 0] },
    { name: 'counts failures', files: [file('failed', 'passed', 'failed')], code: 1, want: [1, 1, 0] },
    {
      name: 'counts skipped, pending and todo tests as skipped',
      files: [file('passed', 'passed', 'skipped', 'pending', 'todo')],
      code: 0,
      want: [1, 0, 3],
    },
    { name: 'counts a file that did not load', files: [file('failed')], code: 1, want: [0, 1, 0] },
    {
      name: 'counts a file whose hook failed after its tests had passed',
      files: [file('failed', 'passed')],
      code: 1,
      want: [1, 1, 0],
    },
    { name: 'counts an error outside any file', files: [file('passed', 'passed')], code: 1, want: [1, 1, 0] },
    { name: 'is empty when nothing ran', files: [], code: 0, want: [0, 0, 0] },
  ])('$name', ({ files, code, want: [passed, failed, skipped] }) => {
    expect(tallyOfReport({ testResults: files }, code)).toEqual({ passed, failed, skipped })
  })

  it('takes a missing report for a failure', () => {
    expect(tallyOfReport(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})

describe('the last line', () => {
  it.each([
    { tally: { passed: 12, failed: 0, skipped: 0 }, line: '12 passed, 0 failed', code: 0 },
    { tally: { passed: 12, failed: 1, skipped: 0 }, line: '12 passed, 1 failed', code: 1 },
    { tally: { passed: 12, failed: 0, skipped: 3 }, line: '12 passed, 0 failed, 3 skipped', code: 0 },
    { tally: NOTHING, line: '0 passed, 0 failed', code: 1 },
  ])('$line: exit code $code', ({ tally, line, code }) => {
    expect(summary(tally)).toBe(line)
    expect(exitCode(tally)).toBe(code)
  })

  it('sums over the suites', () => {
    expect(add({ passed: 1, failed: 2, skipped: 3 }, { passed: 10, failed: 20, skipped: 30 })).toEqual({
      passed: 11,
      failed: 22,
      skipped: 33,
    })
  })
})
