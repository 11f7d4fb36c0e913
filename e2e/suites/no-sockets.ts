// Set-up of the unit suite: a test that opens a socket fails, even if the code under test swallows the error.
import { Socket as Datagram } from 'node:dgram'
import { Server, Socket } from 'node:net'
import { afterEach } from 'vitest'

const attempts: string[] = []

function refuse(what: string): () => never {
  return () => {
    const refusal = new Error(
      `a unit test must not ${what}: name the file *.loopback.test.ts if a protocol is its subject`,
    )
    attempts.push(refusal.stack ?? refusal.message)
    throw refusal
  }
}

Socket.prototype.connect = refuse('connect a socket')
Server.prototype.listen = refuse('listen on a socket')
Datagram.prototype.bind = refuse('bind a datagram socket')
Datagram.prototype.send = refuse('send a datagram')

afterEach(() => {
  const [first] = attempts.splice(0)
  if (first !== undefined) throw new Error(first)
})
