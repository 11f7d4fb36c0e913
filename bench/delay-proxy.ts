// A link with a long way: a TCP proxy on loopback that hands every byte on after a fixed time, in both directions, in
// order and without a limit of its own on how many bytes are under way. As a process of its own it takes no turns with
// those that it connects: `delay-proxy.ts <target port> <round trip in ms>` says its port as a line of JSON.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Half of the round trip is spent in each direction; opening a connection costs one round trip, too. */
async function startDelayProxy(targetPort: number, roundTripMs: number): Promise<number> {
  const keep = (socket: Socket): void => {
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
  }
  const server = createServer({ pauseOnConnect: true }, (near) => {
    keep(near)
    // The peer's SYN and the answer to it travel before any byte does.
    setTimeout(() => {
      const far = connect(targetPort, '127.0.0.1')
      keep(far)
      delayed(near, far, roundTripMs / 2)
      delayed(far, near, roundTripMs / 2)
      near.resume()
    }, roundTripMs)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function delayed(from: Socket, to: Socket, delayMs: number): void {
  from.on('data', (piece) => setTimeout(() => to.write(piece), delayMs))
  from.on('end', () => setTimeout(() => to.end(), delayMs))
  from.on('close', () => setTimeout(() => to.destroy(), delayMs))
}

const [targetPort, roundTripMs] = process.argv.slice(2).map(Number)
const port = await startDelayProxy(targetPort ?? Number.NaN, roundTripMs ?? Number.NaN)
process.stdout.write(`${JSON.stringify({ port })}\n`)
