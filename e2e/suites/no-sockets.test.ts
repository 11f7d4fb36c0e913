// That the unit suite is cut off the network: each of these fails in its clean-up although it swallows the error, and
// would pass, and so break the expectation, if the socket could be opened.
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'

function swallowing(attempt: () => unknown): void {
  try {
    attempt()
  } catch {
    // as code with a retry does
  }
}

describe('a unit test fails when it', () => {
  it.fails('connects', () => {
    swallowing(() => connect(45_001, '127.0.0.1').on('error', () => undefined))
  })

  it.fails('listens', () => {
    const server = createServer()
    swallowing(() => server.listen(0).unref())
  })

  it.fails('fetches', async () => {
    await fetch('http://127.0.0.1:45001').catch(() => undefined)
  })

  it.fails('makes a request', () => {
    swallowing(() => request('http://127.0.0.1:45001').on('error', () => undefined))
  })

  it.fails('binds a datagram socket', () => {
    const socket = createSocket('udp4')
    swallowing(() => socket.bind(0).unref())
  })
})

it('may start a program', () => {
  expect(spawnSync(process.execPath, ['--version']).status).toBe(0)
})
