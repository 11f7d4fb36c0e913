import { describe, expect, it } from 'vitest'
import { checkReport } from './agent-report.ts'

const digest = `sha256:${'0'.repeat(64)}`
const served = {
  namespace: 'city',
  name: 'traffic',
  version: 1,
  digest,
  failureReason: '',
  failureMessage: '',
  failedVersion: 0,
}

describe('an agent report', () => {
  it.each([
    { name: 'a loaded version', change: {} },
    { name: 'nothing loaded yet', change: { version: 0, digest: '' } },
    { name: 'a failure', change: { failureReason: 'DigestMismatch', failureMessage: 'other bytes' } },
  ])('is taken with $name', ({ change }) => {
    const report = { softwareVersion: '1', models: [{ ...served, ...change }] }
    expect(checkReport(report)).toEqual(report)
  })

  it('has its messages cut', () => {
    const models = [{ ...served, failureReason: 'X', failureMessage: 'x'.repeat(1_000_000) }]
    expect(checkReport({ softwareVersion: '1', models }).models[0]?.failureMessage).toHaveLength(512)
  })

  it.each([
    { field: 'models.0.digest', change: { digest: 'x'.repeat(3_000_000) } },
    { field: 'models.0.digest', change: { digest: `${digest}\n` } },
    { field: 'models.0.namespace', change: { namespace: 'n'.repeat(254) } },
    { field: 'models.0.name', change: { name: '' } },
    { field: 'models.0.failureReason', change: { failureReason: 'not camel' } },
    { field: 'models.0.failureReason', change: { failureReason: 'X'.repeat(65) } },
  ])('is refused, naming $field', ({ field, change }) => {
    const report = { softwareVersion: '1', models: [{ ...served, ...change }] }
    expect(() => checkReport(report)).toThrow(`agent report: ${field}: `)
  })

  it.each([
    { field: 'models', change: { models: Array.from({ length: 257 }, () => served) } },
    { field: 'softwareVersion', change: { softwareVersion: 'v'.repeat(254) } },
  ])('is refused, naming $field', ({ field, change }) => {
    expect(() => checkReport({ softwareVersion: '1', models: [], ...change })).toThrow(
      `agent report: ${field}: `,
    )
  })
})
