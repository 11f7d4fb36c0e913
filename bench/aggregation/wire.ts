// From the wire to the merged model: processor seconds of the server for each GB of updates. Our hub works as it is
// deployed: it speaks TLS, checks identity, digest and numbers, and acknowledges what is on its disk. The peer receives into
// memory over gRPC, with TLS and without, and merges with Flower. What is counted is the second round of each.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HUB_SERVER_NAME } from '#federation/wire/names.ts'
import { row, type Row } from '../rows.ts'
import { BenchHub, keysIn, type Keys } from './campaign.ts'
import { bestOf, Driver } from './driver.ts'
import type { MergingOptions } from './merging.ts'

const UPDATES = 20
const VALUES = 10_000_000
const GIGABYTES = (UPDATES * VALUES * 4) / 1e9
const PEERS = join(import.meta.dirname, 'peers')

export async function wireRows({ python, folder, rounds }: MergingOptions): Promise<Row[]> {
  await mkdir(folder, { recursive: true })
  const keys = await keysIn(folder)
  const best = await bestOf(Math.max(1, Math.floor(rounds / 3)), {
    hub: async () => hubSeconds(folder, keys),
    tls: async () => peerSeconds(python, keys),
    plain: async () => peerSeconds(python, undefined),
  })
  const perGigabyte = (name: string): number => (best[name] ?? Number.NaN) / GIGABYTES
  return [
    { peer: 'tls', name: 'both with TLS' },
    { peer: 'plain', name: 'the peer without TLS' },
  ].map(({ peer, name }) =>
    row({
      name: `wire to merged model against Python gRPC and Flower, ${name}`,
      value: perGigabyte(peer) / perGigabyte('hub'),
      goal: 3,
      note: `${perGigabyte('hub').toFixed(2)} against ${perGigabyte(peer).toFixed(2)} processor seconds of the server a GB, in the second round of each; ours alone computes a SHA-256 of every update, which takes about 0.6 of its seconds, and writes it to the disk before it acknowledges; decrypting in Node.js takes another 0.7`,
    }),
  )
}

async function hubSeconds(folder: string, keys: Keys): Promise<number> {
  const own = await mkdtemp(join(folder, 'wire-'))
  const hub = await BenchHub.start(own, keys, { participants: UPDATES, values: VALUES })
  try {
    const round = async (): Promise<void> => {
      for (const node of hub.participants) await hub.send(node)
      await hub.merged()
    }
    await round()
    await hub.nextRound()
    const before = await hub.seconds()
    await round()
    return (await hub.seconds()) - before
  } finally {
    await hub.stop()
    await rm(own, { recursive: true, force: true })
  }
}

async function peerSeconds(python: string, keys: Keys | undefined): Promise<number> {
  const serverKeys = keys ? [keys.paths.key, keys.paths.certificate] : []
  const server = await Driver.start(python, [join(PEERS, 'receive.py'), ...serverKeys])
  const address = `127.0.0.1:${server.ready.port ?? 0}`
  const clientKeys = keys ? [keys.paths.authority, HUB_SERVER_NAME] : []
  const size = [String(UPDATES), String(VALUES)]
  const client = await Driver.start(python, [join(PEERS, 'send.py'), address, ...size, ...clientKeys])
  try {
    await client.ask('send')
    const before = await server.seconds('merge')
    await client.ask('send')
    return (await server.seconds('merge')) - before
  } finally {
    await Promise.all([client.stop(), server.stop()])
  }
}
