import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Model } from './model.ts'
import { checkModelPlan } from '#federation/tier/plans.ts'
import type { VersionRecord } from '#federation/tier/store/records.ts'
import { modelPlan } from './testing/story.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-model-'))
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

const blob = { digest: `sha256:${'0'.repeat(64)}`, size: 1 }

function version(number: number, campaign: string, round: number): VersionRecord {
  const facts = { parentDigest: '', createdMs: 0, metrics: {}, participants: 1, samples: 1 }
  return { version: number, ...blob, ...facts, campaign, round, manifest: blob }
}

describe('the newest version of a campaign', () => {
  it('is found behind more versions of another campaign than a state shows', async () => {
    const model = await Model.create(directory, checkModelPlan(modelPlan()))
    await model.addVersion(version(1, 'early', 3))
    await model.addVersion(version(2, 'early', 6))
    for (let number = 3; number <= 30; number++) await model.addVersion(version(number, 'late', number))
    expect(model.state().versions.some(({ campaign }) => campaign === 'early')).toBe(false)
    expect(model.newestOf('early')).toMatchObject({ version: 2, round: 6 })
    expect(model.newestOf('other')).toBeUndefined()
  })
})
