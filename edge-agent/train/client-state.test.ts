import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { digestOf } from '#federation/wire/digest.ts'

import { ClientState, type StateVector } from './client-state.ts'

const CAMPAIGN = 'f0000000-0000-4000-8000-00000000000b'

let state: ClientState

beforeEach(async () => {
  state = new ClientState(await mkdtemp(join(tmpdir(), 'state-')), CAMPAIGN)
  await state.open()
})
afterEach(async () => {
  await rm(state.folder, { recursive: true })
})

async function vector(name: string, text: string): Promise<StateVector> {
  const digest = digestOf(Buffer.from(text))
  const file = `${name}.${digest.slice(-8)}`
  await writeFile(join(state.folder, file), text)
  return { name, file, digest }
}

describe('what a node keeps between rounds', () => {
  it('is nothing at first', async () => {
    expect(await state.vectors()).toEqual({})
    expect(await state.follows('update 1')).toBe(false)
  })

  it('is what belongs to the last accepted update, also after a restart', async () => {
    const first = await vector('clientControl', 'after round 1')
    await state.commit('update 1', 1, [first])
    const pending = await vector('clientControl', 'after round 2')
    const restarted = new ClientState(state.folder, CAMPAIGN)
    expect(await restarted.vectors()).toEqual({ clientControl: join(state.folder, first.file) })
    expect(await restarted.follows('update 1')).toBe(true)
    await restarted.commit('update 2', 2, [pending])
    expect(await restarted.vectors()).toEqual({ clientControl: join(state.folder, pending.file) })
    expect((await readdir(state.folder)).sort()).toEqual([pending.file, 'state.json'].sort())
  })

  it('does not grow with updates that were never accepted', async () => {
    const first = await vector('clientControl', 'after round 1')
    await state.commit('update 1', 1, [first])
    await vector('clientControl', 'after round 2, too late')
    await vector('clientControl', 'after round 3, too late')
    await state.dropPending()
    expect((await readdir(state.folder)).sort()).toEqual([first.file, 'state.json'].sort())
    expect(await state.vectors()).toEqual({ clientControl: join(state.folder, first.file) })
  })

  it('is empty again when not even the first update was accepted', async () => {
    await vector('residual', 'after round 1, too late')
    await state.dropPending()
    expect(await readdir(state.folder)).toEqual([])
  })

  it('stays when the update is accepted again, by another parent, with the next one under way', async () => {
    const first = await vector('clientControl', 'after round 1')
    await state.commit('update 1', 1, [first])
    const second = await vector('clientControl', 'after round 2')
    await state.commit('update 1', 1, [first])
    await state.commit('update 2', 2, [second])
    expect(await state.vectors()).toEqual({ clientControl: join(state.folder, second.file) })
  })

  it('never goes back to an earlier round', async () => {
    const [first, second] = [await vector('clientControl', '1'), await vector('clientControl', '2')]
    await state.commit('update 2', 2, [second])
    await state.commit('update 1', 1, [first])
    expect(await state.follows('update 2')).toBe(true)
    expect(await state.vectors()).toEqual({ clientControl: join(state.folder, second.file) })
  })

  it('is not that of another campaign', async () => {
    await state.commit('update 1', 1, [await vector('clientControl', 'x')])
    expect(await new ClientState(state.folder, 'another').vectors()).toEqual({})
  })

  it.each([
    { name: 'a vector was changed', spoil: async (file: string) => await appendFile(file, 'x') },
    { name: 'a vector is gone', spoil: async (file: string) => await rm(file) },
    {
      name: 'its record broke off',
      spoil: async () => await writeFile(join(state.folder, 'state.json'), '{"campaign"'),
    },
  ])('begins anew when $name', async ({ spoil }) => {
    const kept = [await vector('clientControl', 'x'), await vector('residual', 'y')]
    await state.commit('update 1', 1, kept)
    await spoil(join(state.folder, kept[1]!.file))
    expect(await state.vectors()).toEqual({})
  })
})
