import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { digestOf } from '#federation/wire/digest.ts'

import { type FinishedUpdate, Outbox } from './outbox.ts'

let outbox: Outbox

beforeEach(async () => {
  outbox = new Outbox(await mkdtemp(join(tmpdir(), 'outbox-')))
  await outbox.open()
})
afterEach(async () => {
  await rm(outbox.folder, { recursive: true })
})

async function finished(round: number): Promise<FinishedUpdate> {
  const bytes = Buffer.from(`update of round ${round}`)
  const update = {
    round,
    parameters: 'sha256:parameters',
    state: [],
    key: `round ${round}`,
    file: `${round}.update`,
    samples: 5,
    steps: 2,
    loss: 0.5,
  }
  await writeFile(join(outbox.folder, update.file), bytes)
  return { ...update, digest: digestOf(bytes), size: bytes.length }
}

describe('the outbox', () => {
  it('finds a finished update after a restart, for its own assignment only', async () => {
    const update = await finished(1)
    await outbox.put(update)
    const restarted = new Outbox(outbox.folder)
    expect(await restarted.find('round 1')).toEqual(update)
    expect(await restarted.find('round 2')).toBeUndefined()
  })

  it('knows the round of the newest, also after a restart', async () => {
    expect(outbox.newestRound).toBeUndefined()
    await outbox.put(await finished(3))
    expect(outbox.newestRound).toBe(3)
    const restarted = new Outbox(outbox.folder)
    await restarted.open()
    expect(restarted.newestRound).toBe(3)
  })

  it('keeps the newest alone', async () => {
    await outbox.put(await finished(1))
    const second = await finished(2)
    await outbox.put(second)
    expect(await outbox.find('round 1')).toBeUndefined()
    expect(await outbox.find('round 2')).toEqual(second)
    expect((await readdir(outbox.folder)).sort()).toEqual(['2.update', 'update.json'])
  })

  it.each([
    {
      name: 'its bytes were changed',
      spoil: async () => await appendFile(join(outbox.folder, '1.update'), 'x'),
    },
    { name: 'its bytes are gone', spoil: async () => await rm(join(outbox.folder, '1.update')) },
    {
      name: 'its record broke off',
      spoil: async () => await writeFile(join(outbox.folder, 'update.json'), '{"key"'),
    },
    { name: 'its record names another folder', spoil: async () => await renamed('../1.update') },
  ])('does not find an update when $name', async ({ spoil }) => {
    await outbox.put(await finished(1))
    await spoil()
    expect(await outbox.find('round 1')).toBeUndefined()
  })

  it('finds nothing of an update whose record was never written', async () => {
    await finished(1)
    expect(await outbox.find('round 1')).toBeUndefined()
  })
})

async function renamed(file: string): Promise<void> {
  const update = await finished(1)
  await writeFile(join(outbox.folder, 'update.json'), JSON.stringify({ ...update, file }))
}
