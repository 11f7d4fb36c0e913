import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  isAlive,
  isRunning,
  killProcess,
  parseRecord,
  parseStat,
  readRecord,
  recordNames,
  startProcess,
  stopProcess,
} from './process-record.ts'

const tail = 'S 1 4711 4711 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0'

describe('parseStat', () => {
  it.each([
    { name: 'a plain name', stat: `4711 (etcd) ${tail}` },
    { name: 'a name with spaces and parentheses', stat: `4711 (a) S 9 (b) ${tail}` },
  ])('finds pid, state and start time after $name', ({ stat }) => {
    expect(parseStat(stat)).toEqual({ pid: 4711, state: 'S', startTime: '123456' })
  })

  it.each(['', '4711', 'x (y) S', '4711 (etcd'])('finds nothing in %j', (stat) => {
    expect(parseStat(stat)).toBeUndefined()
  })
})

describe('a recorded process', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tributary-records-'))
  })

  afterEach(async () => {
    await stopProcess(folder, 'sleeper')
    await rm(folder, { recursive: true })
  })

  const start = (command: string[]) =>
    startProcess({ name: 'sleeper', recordsFolder: folder, logFile: path.join(folder, 'log'), command })

  it('is found again by its record, and ended', async () => {
    const identity = await start(['sleep', '600'])
    expect(await readRecord(folder, 'sleeper')).toEqual(identity)
    expect(await isRunning(folder, 'sleeper')).toBe(true)
    await stopProcess(folder, 'sleeper')
    expect(await isAlive(identity)).toBe(false)
    expect(await recordNames(folder)).toEqual([])
  })

  it('is ended even when it does not listen', async () => {
    const identity = await start(['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'])
    await stopProcess(folder, 'sleeper', 100)
    expect(await isAlive(identity)).toBe(false)
  })

  it('is no other process that got the same pid, nor one of another boot', async () => {
    const identity = await start(['sleep', '600'])
    expect(await isAlive({ ...identity, startTime: '1' })).toBe(false)
    expect(await isAlive({ ...identity, bootId: 'another' })).toBe(false)
    await killProcess(folder, 'sleeper')
  })

  it('has no record when the record is not whole', () => {
    expect(parseRecord('boot')).toBeUndefined()
    expect(parseRecord('boot\n12 (half')).toBeUndefined()
  })
})
