// Counts what the suites found. A file that does not load, an error outside any test, a crash and a suite in which
// nothing ran are failures, so that the last line never says less than what went wrong.
import { z } from 'zod'

export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 }
export const ONE_FAILURE: Tally = { ...NOTHING, failed: 1 }

/** The part of vitest's JSON report that is counted. */
const Report = z.object({
  testResults: z.array(
    z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) }),
  ),
})

export function add(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }
}

export function tallyOfReport(report: unknown, exitCode: number): Tally {
  const files = Report.safeParse(report)
  if (!files.success) return ONE_FAILURE
  const counted = files.data.testResults.map(tallyOfFile).reduce(add, NOTHING)
  return exitCode !== 0 && counted.failed === 0 ? add(counted, ONE_FAILURE) : counted
}

function tallyOfFile(file: z.infer<typeof Report>['testResults'][number]): Tally {
  const count = (...statuses: string[]): number =>
    file.assertionResults.filter(({ status }) => statuses.includes(status)).length
  const passed = count('passed')
  const failed = count('failed')
  const skipped = file.assertionResults.length - passed - failed
  const brokenOutsideTests = file.status === 'failed' && failed === 0
  return { passed, failed: brokenOutsideTests ? 1 : failed, skipped }
}

export function summary({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

export function exitCode({ passed, failed }: Tally): number {
  return failed === 0 && passed > 0 ? 0 : 1
}
