// A link with a long way: a TCP proxy on loopback that hands every byte on after a fixed time, in both directions, in
// order and without a limit of its own on how many bytes are under way.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface DelayProxy {
  readonly port: number
  close(): Promise<void>
}

/** @param roundTripMs half of it is spent in each direction; opening a connection costs one round trip, too */
export async function startDelayProxy(targetPort: number, roundTripMs: number): Promise<DelayProxy> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
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
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function delayed(from: Socket, to: Socket, delayMs: number): void {
  from.on('data', (piece) => setTimeout(() => to.write(piece), delayMs))
  from.on('end', () => setTimeout(() => to.end(), delayMs))
  from.on('close', () => setTimeout(() => to.destroy(), delayMs))
}
