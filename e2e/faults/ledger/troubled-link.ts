/*
 * A link on which connections go wrong: a TCP proxy on loopback that draws a fault for each connection. What it passes on is
 * encrypted, so faults count bytes and know no requests; they are large enough a range to fall into handshakes, heads, bodies
 * and answers alike.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Dice } from './dice.ts'

export type LinkFault =
  | { readonly kind: 'none' }
  /** Both sides are reset after so many bytes of the client. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** From so many bytes of the client on nothing of the server arrives; a moment later both sides are reset. */
  | { readonly kind: 'mute'; readonly afterBytes: number; readonly forMs: number }
  /** After so many bytes of the client the rest is held back, and arrives later even if the client is gone. */
  | { readonly kind: 'hold'; readonly afterBytes: number; readonly forMs: number }
  /** Every piece takes longer, so that connections overtake one another. */
  | { readonly kind: 'slow'; readonly byMs: number }

/** A client that is gone had this long after a hold for what it left behind to arrive. */
const LINGER_MS = 500

/** A TLS handshake and the head of a request take the client about 2,000 bytes. */
const HEAD_BYTES = 2_500

/** Draws a fault for each connection, while there is bad weather left. */
export class Weather {
  readonly #dice: Dice
  readonly #bodyBytes: number
  #left = 0

  /** @param bodyBytes bytes of an update */
  constructor(dice: Dice, bodyBytes: number) {
    this.#dice = dice
    this.#bodyBytes = bodyBytes
  }

  /** @param faults how many may follow before the weather is good */
  begin(faults: number): void {
    this.#left = faults
  }

  draw(): LinkFault {
    const fault = this.#left > 0 ? this.#any() : ({ kind: 'none' } as const)
    if (fault.kind !== 'none') this.#left -= 1
    return fault
  }

  #any(): LinkFault {
    const dice = this.#dice
    const afterBytes = dice.integer(1, HEAD_BYTES + this.#bodyBytes)
    switch (dice.pick({ none: 50, reset: 15, mute: 15, hold: 10, slow: 10 })) {
      case 'none':
        return { kind: 'none' }
      case 'reset':
        return { kind: 'reset', afterBytes }
      case 'mute':
        return { kind: 'mute', afterBytes, forMs: dice.between(20, 120) }
      case 'hold':
        return { kind: 'hold', afterBytes, forMs: dice.between(200, 2_500) }
      case 'slow':
        return { kind: 'slow', byMs: dice.between(1, 30) }
    }
  }
}

/** Ports that Linux lends to no connection: who listens on one, on whatever address, finds it free after each kill. */
const LASTING_PORTS = { first: 20_000, count: 12_000 }
const MOST_TRIES = 50

async function listenOnLastingPort(server: Server, host: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const port = LASTING_PORTS.first + Math.floor(Math.random() * LASTING_PORTS.count)
    server.listen(port, host)
    try {
      await once(server, 'listening')
      return
    } catch (error) {
      if (tries >= MOST_TRIES) throw error
    }
  }
}

export class TroubledLink {
  /** How many connections had which fault. */
  readonly counts: Record<LinkFault['kind'], number> = { none: 0, reset: 0, mute: 0, hold: 0, slow: 0 }
  readonly #server: Server
  readonly #open = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** @param target port of the server at the moment of a connection  @param host address to listen on */
  static async open(target: () => number, draw: () => LinkFault, host = '127.0.0.1'): Promise<TroubledLink> {
    const server = createServer({ noDelay: true, allowHalfOpen: true })
    const link = new TroubledLink(server)
    server.on('connection', (near) => link.#connect(near, connect(target(), '127.0.0.1'), draw))
    await listenOnLastingPort(server, host)
    return link
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#open) socket.destroy()
    await closed
  }

  /** No fault is spent on a connection to a server that is away. */
  #connect(near: Socket, far: Socket, draw: () => LinkFault): void {
    const away = (): void => resetOne(near)
    near.on('error', () => near.destroy())
    far.once('error', away)
    far.once('connect', () => {
      far.off('error', away)
      this.#serve(near, far, draw())
    })
  }

  #serve(near: Socket, far: Socket, fault: LinkFault): void {
    this.counts[fault.kind] += 1
    far.setNoDelay(true)
    const reset = (): void => {
      resetOne(near)
      resetOne(far)
    }
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#open.add(socket)
      socket.once('close', () => this.#open.delete(socket))
      // What is held back for the server still has to get there when the client is gone.
      const outlives = fault.kind === 'hold' && socket === near
      socket.on('error', () => (outlives ? near.destroy() : reset()))
      socket.once('close', (hadError) => {
        if (outlives) setTimeout(() => far.destroy(), fault.forMs + LINGER_MS)
        else if (!hadError) other.end()
      })
    }
    forward(near, far, { fault, reset })
  }
}

/** A socket that is being shut down cannot be reset any more, and would stay open for ever. */
function resetOne(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

interface Forwarding {
  readonly fault: LinkFault
  readonly reset: () => void
}

function forward(near: Socket, far: Socket, { fault, reset }: Forwarding): void {
  const threshold = 'afterBytes' in fault ? fault.afterBytes : Number.POSITIVE_INFINITY
  const delayMs = fault.kind === 'slow' ? fault.byMs : 0
  let passed = 0
  let muted = false
  const upstream = new Gate(far, delayMs)
  const downstream = new Gate(near, delayMs)
  const strike = (): void => {
    if (fault.kind === 'reset') reset()
    if (fault.kind === 'mute' && !muted) setTimeout(reset, fault.forMs)
    if (fault.kind === 'hold') upstream.holdFor(fault.forMs)
    muted = fault.kind === 'mute'
  }
  near.on('data', (piece: Buffer) => {
    const room = threshold - passed
    passed += piece.length
    if (piece.length < room || room <= 0) {
      upstream.pass(piece)
      return
    }
    upstream.pass(piece.subarray(0, room))
    strike()
    if (fault.kind !== 'reset') upstream.pass(piece.subarray(room))
  })
  near.on('end', () => upstream.end())
  far.on('data', (piece: Buffer) => {
    if (!muted) downstream.pass(piece)
  })
  far.on('end', () => downstream.end())
}

/** Passes pieces on in their order, each after a time, or all of them after a hold. */
class Gate {
  readonly #to: Socket
  readonly #delayMs: number
  #held: Promise<unknown> | undefined

  constructor(to: Socket, delayMs: number) {
    this.#to = to
    this.#delayMs = delayMs
  }

  holdFor(milliseconds: number): void {
    this.#held ??= new Promise((resolve) => setTimeout(resolve, milliseconds))
  }

  pass(piece: Uint8Array): void {
    this.#later(() => this.#to.write(piece))
  }

  end(): void {
    this.#later(() => this.#to.end())
  }

  #later(work: () => void): void {
    const whenOpen = (): void => {
      if (!this.#to.destroyed) work()
    }
    // A promise calls back in the order in which it was asked; equal delays fire in the order in which they were set.
    if (this.#held) this.#held.then(whenOpen, whenOpen)
    else if (this.#delayMs > 0) setTimeout(whenOpen, this.#delayMs)
    else whenOpen()
  }
}
