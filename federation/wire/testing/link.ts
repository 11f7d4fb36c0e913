// A link between two programs on this machine that fails on demand: it falls silent (nothing is forwarded and nothing closed,
// as when a router forgets a connection), it is cut (reset), or it is cut again and again after so many bytes. It counts what
// crosses it, and may have a speed. Bytes count once they were taken from their sender.
import { once } from 'node:events'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export type Direction = 'up' | 'down'

export interface LinkOptions {
  /** Port on this machine where the connections lead. */
  readonly port: number
  /** Bytes of this direction after which the connection that brings them is reset, again and again. */
  readonly cutEvery?: { readonly direction: Direction; readonly bytes: number }
  /** Of each direction of a connection; without it, as fast as this machine. */
  readonly bytesPerSecond?: number
}

/** Bytes that are on their way at once. */
const PIECE_BYTES = 16 * 1024

export class Link {
  readonly crossed: Record<Direction, number> = { up: 0, down: 0 }
  /** How often it was cut by `cutEvery`. */
  cuts = 0
  readonly #options: LinkOptions
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  readonly #silent = new WeakSet<Socket>()

  static async open(options: LinkOptions): Promise<Link> {
    const link = new Link(options)
    link.#server.listen(0, '127.0.0.1')
    await once(link.#server, 'listening')
    return link
  }

  private constructor(options: LinkOptions) {
    this.#options = options
    this.#server = createServer((lower) => this.#join(lower))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The connections of this moment; later ones are as good as new. */
  silence(): void {
    for (const socket of this.#sockets()) this.#silent.add(socket)
  }

  cut(): void {
    for (const socket of this.#sockets()) socket.resetAndDestroy()
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets()) socket.destroy()
  }

  #sockets(): Socket[] {
    return [...this.#pairs].flat()
  }

  #join(lower: Socket): void {
    const upper = connect(this.#options.port, '127.0.0.1')
    const pair = [lower, upper] as const
    this.#pairs.add(pair)
    for (const socket of pair) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        // The other end of a silent connection learns of nothing.
        if (!this.#silent.has(socket)) for (const each of pair) each.destroy()
        if (pair.every(({ destroyed }) => destroyed)) this.#pairs.delete(pair)
      })
    }
    for (const carried of [this.#carry('up', lower, upper), this.#carry('down', upper, lower)]) {
      carried.catch(() => this.cut())
    }
  }

  async #carry(direction: Direction, from: Socket, to: Socket): Promise<void> {
    let wake = (): void => undefined
    for (const event of ['readable', 'end', 'close']) from.on(event, () => wake())
    while (!from.destroyed && !this.#silent.has(from)) {
      const piece = takeFrom(from, this.#room(direction))
      if (piece) await this.#pass(direction, piece, [from, to])
      else if (from.readableEnded) return void to.end()
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  }

  async #pass(direction: Direction, piece: Buffer, [from, to]: readonly [Socket, Socket]): Promise<void> {
    const { bytesPerSecond } = this.#options
    this.crossed[direction] += piece.byteLength
    await new Promise<void>((resolve) => to.write(piece, () => resolve()))
    if (bytesPerSecond) await delay((1000 * piece.byteLength) / bytesPerSecond)
    if (this.#room(direction) > 0) return
    this.cuts += 1
    for (const socket of [from, to]) socket.resetAndDestroy()
  }

  /** Bytes that may cross before the next cut. */
  #room(direction: Direction): number {
    const { cutEvery } = this.#options
    if (cutEvery?.direction !== direction) return PIECE_BYTES
    return Math.min(PIECE_BYTES, cutEvery.bytes * (this.cuts + 1) - this.crossed[direction])
  }
}

/** Up to `most` bytes of what has arrived. */
function takeFrom(socket: Socket, most: number): Buffer | undefined {
  const available = Math.min(most, socket.readableLength)
  return available > 0 ? ((socket.read(available) as Buffer | null) ?? undefined) : undefined
}
