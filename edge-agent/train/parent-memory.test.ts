import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { ParentMemory } from './parent-memory.ts'

const log = pino({ level: 'silent' })
const parent = { tier: 'north', epoch: 2, address: '192.0.2.1:7443', certificate: 'PEM' }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parent-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('what a pod remembers of its parents', () => {
  it('is nothing at first', async () => {
    expect(await new ParentMemory(folder, log).read()).toBeUndefined()
  })

  it('is what was kept last', async () => {
    const memory = new ParentMemory(folder, log)
    memory.keep({ parent, epochs: { north: 2 } })
    memory.keep({ epochs: { north: 3 } })
    memory.keep({ parent, epochs: { north: 3, south: 1 } })
    await memory.written()
    expect(await new ParentMemory(folder, log).read()).toEqual({ parent, epochs: { north: 3, south: 1 } })
  })

  it.each([
    '{"epochs"',
    '{}',
    JSON.stringify({ epochs: {}, parent: { tier: 'north' } }),
    ' '.repeat(300 * 1024),
  ])('is nothing when the file is damaged (%#)', async (text) => {
    await writeFile(join(folder, 'parent.json'), text)
    expect(await new ParentMemory(folder, log).read()).toBeUndefined()
  })

  it('does no harm when it cannot be written', async () => {
    const memory = new ParentMemory(join(folder, 'missing'), log)
    memory.keep({ epochs: { north: 1 } })
    await expect(memory.written()).resolves.toBeUndefined()
  })
})
