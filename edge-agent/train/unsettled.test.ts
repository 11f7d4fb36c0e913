import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { digestOf } from '#federation/wire/digest.ts'

import { type StoredUpdate, UnsettledUpdates } from './unsettled.ts'

let folder: string
let unsettled: UnsettledUpdates

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unsettled-'))
  unsettled = await opened()
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function opened(): Promise<UnsettledUpdates> {
  const store = new UnsettledUpdates(join(folder, 'kept'))
  await store.open()
  return store
}

async function finished(round: number): Promise<StoredUpdate> {
  const bytes = Buffer.from(`update of round ${round}`)
  const path = join(folder, `${round}.update`)
  await writeFile(path, bytes)
  const facts = { samples: 5, steps: 2, loss: 0.5, state: [], key: 'key', file: `${round}.update` }
  const update = {
    ...facts,
    round,
    parameters: `parameters ${round}`,
    digest: digestOf(bytes),
    size: bytes.length,
  }
  return { update, path }
}

const rounds = async () =>
  (await readdir(join(folder, 'kept'))).filter((name) => name.endsWith('.json')).sort()

describe('unsettled updates', () => {
  it('are found by their round and what they were trained from, also after a restart and without the first file', async () => {
    const stored = await finished(3)
    await unsettled.keep(stored)
    await unsettled.keep(stored)
    await rm(stored.path)
    const found = await (await opened()).find(3, 'parameters 3')
    expect(found).toEqual({ update: stored.update, path: join(folder, 'kept', '3.update') })
    expect(await unsettled.find(3, 'other parameters')).toBeUndefined()
    expect(await unsettled.find(2, 'parameters 3')).toBeUndefined()
  })

  it('go once their round is settled, and are not kept after that', async () => {
    for (const round of [1, 2, 3]) await unsettled.keep(await finished(round))
    await unsettled.settle(2)
    await unsettled.settle(1)
    expect(await readdir(join(folder, 'kept'))).toEqual(['3.json', '3.update'])
    expect([unsettled.wants(2), unsettled.wants(3)]).toEqual([false, true])
    await unsettled.keep(await finished(2))
    expect(await rounds()).toEqual(['3.json'])
  })

  it('are not more than eight, the newest', async () => {
    for (let round = 5; round < 15; round++) await unsettled.keep(await finished(round))
    expect(await rounds()).toHaveLength(8)
    expect(await unsettled.find(6, 'parameters 6')).toBeUndefined()
    expect(await unsettled.find(7, 'parameters 7')).toBeDefined()
  })

  it.each([
    {
      name: 'their bytes were changed',
      spoil: async () => await appendFile(join(folder, 'kept', '1.update'), 'x'),
    },
    { name: 'their bytes are gone', spoil: async () => await rm(join(folder, 'kept', '1.update')) },
    {
      name: 'their record broke off',
      spoil: async () => await writeFile(join(folder, 'kept', '1.json'), '{"key"'),
    },
  ])('are not found when $name', async ({ spoil }) => {
    await unsettled.keep(await finished(1))
    await spoil()
    expect(await unsettled.find(1, 'parameters 1')).toBeUndefined()
  })
})
