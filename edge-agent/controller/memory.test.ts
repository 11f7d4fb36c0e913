import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { campaignPlan } from '#federation/tier/testing/plans.ts'
import type { TierPlan } from '#federation/wire/generated/tributary.ts'

import { lastPort, rememberPort } from './last-port.ts'
import { Outgoing } from './outgoing.ts'
import { ownCertificate } from './own-certificate.ts'
import { TierMemory } from './tier-memory.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'controller-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function plan(epoch: number, settledRound: number): TierPlan {
  const unset = { start: undefined, basis: undefined, merged: undefined, tokenKeys: undefined }
  return { epoch, plan: campaignPlan(), settledRound, agentUsername: 'agent', ...unset }
}

describe('what an edge controller keeps on its node', () => {
  it('is the newest plan, whole, and never that of an earlier epoch', async () => {
    const memory = await TierMemory.open(folder)
    expect(memory.plan).toBeUndefined()
    await memory.keep(plan(2, 1))
    await memory.keep(plan(2, 4))
    await memory.keep(plan(1, 9))
    expect(memory.plan).toEqual(plan(2, 4))
    expect((await TierMemory.open(folder)).plan).toEqual(plan(2, 4))
  })

  it('is refused when it is damaged, with the name of the file', async () => {
    await writeFile(join(folder, 'tier-plan.bin'), Buffer.from([0xff, 0xff, 0xff]))
    await expect(TierMemory.open(folder)).rejects.toThrow('tier-plan.bin is damaged')
  })

  it('is one certificate for its name, whose key nobody else may read', async () => {
    const own = await ownCertificate(folder, Date.now())
    expect(new X509Certificate(own.certificate).checkHost('tributary-controller')).toBe(
      'tributary-controller',
    )
    expect(await ownCertificate(folder, Date.now())).toEqual(own)
    expect((await stat(join(folder, 'certificate'))).mode & 0o077).toBe(0)
  })

  it('is the port that it was introduced with', async () => {
    expect(await lastPort(folder)).toBeUndefined()
    await rememberPort(folder, 30_001)
    expect(await lastPort(folder)).toBe(30_001)
  })

  it('is how far a sum has come on its way, and that it arrived, when its bytes are gone', async () => {
    const outgoing = new Outgoing(folder)
    const member = { node: 'a', digest: 'sha256:a', samples: 1, steps: 1, loss: 0.5 }
    await outgoing.saveOffer({ members: [member], digest: 'sha256:offer' })
    const sum = await (await outgoing.store()).put(Buffer.from('sum'))
    await outgoing.saveSum(sum)
    const again = new Outgoing(folder)
    expect(await again.offer()).toEqual({ members: [member], digest: 'sha256:offer' })
    expect(await again.sum()).toEqual(sum)
    await again.saveDelivered({ outcome: 'accepted', detail: '', to: 'hub' })
    await again.dropBytes()
    expect(await again.offer()).toBeUndefined()
    expect(await (await again.store()).size(sum.digest)).toBeUndefined()
    expect(await again.delivered()).toEqual({ outcome: 'accepted', detail: '', to: 'hub' })
    await again.withdraw()
    expect(await again.delivered()).toBeUndefined()
  })
})
