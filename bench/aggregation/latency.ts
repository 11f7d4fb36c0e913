// An upload over a link of 50 ms round trip, by the clock: our path with TLS and all of its checks, Python gRPC with TLS, and
// grpc-js as it comes, whose server keeps HTTP/2's window of 64 KB. Client, link and server are a process each. Ours and
// Python's clients keep the connection that they have, as a training pod keeps the one over which it fetched the parameters. Our
// hub has merged a round before.
import { credentials, type ClientWritableStream } from '@grpc/grpc-js'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HUB_SERVER_NAME } from '#federation/wire/names.ts'
import { row, type Row } from '../rows.ts'
import { BenchHub, keysIn, type Keys } from './campaign.ts'
import { bestOf, Driver } from './driver.ts'
import type { MergingOptions } from './merging.ts'
import { SendClient } from './peers/grpc-js-service.ts'

const ROUND_TRIP_MS = 50
const VALUES = 10_000_000
const BYTES = 4 * VALUES
const CHUNK = 1024 * 1024
/** Stock grpc-js needs most of a minute for the whole. */
const STOCK_BYTES = BYTES / 10
const PEERS = join(import.meta.dirname, 'peers')

export async function latencyRows({ python, folder, rounds }: MergingOptions): Promise<Row[]> {
  const own = await mkdtemp(join(folder, 'latency-'))
  const keys = await keysIn(own)
  const hub = await BenchHub.start(own, keys, { participants: rounds + 1, values: VALUES })
  const link = await startLink(hub.port)
  const peer = await pythonPeer(python, keys)
  try {
    for (const node of hub.participants) await hub.send(node)
    await hub.nextRound()
    const nodes = hub.participants.values()
    const best = await bestOf(rounds, {
      ours: async () => timed(async () => hub.send(nodes.next().value ?? '', link.ready.port)),
      python: async () => peer.seconds(),
    })
    const stock = await stockSeconds()
    const [ours = Number.NaN, theirs = Number.NaN] = [best['ours'], best['python']]
    const rate = (bytes: number, seconds: number): string => `${(bytes / 1e6 / seconds).toFixed(1)} MB/s`
    const name = 'upload of 40 MB at 50 ms round trip'
    return [
      row({
        ...{ name: `${name} against Python gRPC`, value: theirs / ours, goal: 1.1 },
        note: `${rate(BYTES, ours)} against ${rate(BYTES, theirs)}, both with TLS; ours waits for the hub's disk`,
      }),
      row({
        ...{ name: `${name} against stock grpc-js`, value: BYTES / ours / (STOCK_BYTES / stock), goal: 100 },
        note: `${rate(BYTES, ours)} against ${rate(STOCK_BYTES, stock)} (of 4 MB, without TLS)`,
      }),
    ]
  } finally {
    await Promise.all([link.stop(), peer.stop(), hub.stop()])
    await rm(own, { recursive: true, force: true })
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

async function pythonPeer(
  python: string,
  keys: Keys,
): Promise<{ seconds(): Promise<number>; stop(): Promise<void> }> {
  const { key, certificate, authority } = keys.paths
  const server = await Driver.start(python, [join(PEERS, 'receive.py'), key, certificate])
  const link = await startLink(server.ready.port)
  const args = [`127.0.0.1:${link.ready.port ?? 0}`, '1', String(VALUES), authority, HUB_SERVER_NAME]
  const client = await Driver.start(python, [join(PEERS, 'send.py'), ...args])
  return {
    seconds: async () => {
      const seconds = await client.seconds('send')
      await server.ask('merge')
      return seconds
    },
    stop: async () => {
      await Promise.all([client.stop(), server.stop(), link.stop()])
    },
  }
}

async function stockSeconds(): Promise<number> {
  const server = await Driver.start(process.execPath, [join(PEERS, 'grpc-js.ts')])
  const link = await startLink(server.ready.port)
  try {
    return await timed(async () => sendByGrpcJs(link.ready.port))
  } finally {
    await Promise.all([link.stop(), server.stop()])
  }
}

async function startLink(targetPort = 0): Promise<Driver> {
  const program = join(import.meta.dirname, '../delay-proxy.ts')
  return Driver.start(process.execPath, [program, String(targetPort), String(ROUND_TRIP_MS)])
}

async function sendByGrpcJs(port = 0): Promise<void> {
  const client = new SendClient(`127.0.0.1:${port}`, credentials.createInsecure())
  await new Promise<void>((resolve, reject) => {
    const callback = (error: Error | null): void => (error ? reject(error) : resolve())
    const send = client['send']?.bind(client) as (
      callback: (error: Error | null) => void,
    ) => ClientWritableStream<Buffer>
    const stream = send(callback)
    const write = async (): Promise<void> => {
      for (let at = 0; at < STOCK_BYTES; at += CHUNK) {
        if (!stream.write(Buffer.alloc(Math.min(CHUNK, STOCK_BYTES - at)))) await once(stream, 'drain')
      }
      stream.end()
    }
    write().catch(reject)
  })
  client.close()
}
