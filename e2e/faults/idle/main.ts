/*
 * A complete install with objects in every state that stays for long, and nothing happens: how often does it write?
 *
 *   node e2e/faults/idle/main.ts [--out FILE] [--minutes N]    N minutes of watching (10)
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { row } from '#bench/rows.ts'
import { kubectlOf } from '#crds/testing/cluster.ts'
import type { Kubectl } from '#crds/testing/cluster.ts'
import { startApiServer } from '#e2e/cluster/api-server.ts'
import type { ApiServer } from '#e2e/cluster/api-server.ts'
import { waitFor } from '#e2e/cluster/wait.ts'
import { operatorWrites } from '#e2e/product/idle.ts'
import { reportFragment } from '../fragment.ts'
import { startInstall } from './install.ts'
import type { Install } from './install.ts'
import { heartbeat, manifests, NODES } from './objects.ts'

const { values } = parseArgs({
  options: { out: { type: 'string' }, minutes: { type: 'string', default: '10' } },
})
const minutes = Number(values.minutes)

const ABOUT = [
  'The chart’s objects, the operator and the hub as processes with their service accounts, against a real etcd and kube-apiserver;',
  'three nodes that send heartbeats every ten seconds, a DeviceProfile, an admitted EdgeModel that three nodes should serve, and campaigns that',
  'run with pods that do not connect, wait for a profile, are suspended, and failed. Counted by the API server’s audit log are the writes',
  'of both accounts but the lease’s renewals and TokenReviews; half-way the operator is killed and another one starts.',
].join(' ')

/** Nothing was written for this long: the idle time begins. */
const SETTLED_MS = 40_000

const server = await startApiServer()
const kubectl = kubectlOf(server)
let install: Install | undefined
try {
  install = await startInstall(server, kubectl)
  for (const manifest of manifests(
    readFileSync(join(import.meta.dirname, '../../../examples/digits/model.onnx')),
  ))
    await kubectl(['apply', '--server-side', '--filename=-'], manifest)
  await watchIdle(server, install)
} finally {
  await install?.stop()
  await server.stop()
}

async function watchIdle(api: ApiServer, running: Install): Promise<void> {
  await beat(kubectl)
  await phases(kubectl, { running: 'Training', waiting: 'Waiting', suspended: 'Suspended', failed: 'Failed' })
  await makePodsRun(kubectl)
  const before = await settled(api)
  const ends = performance.now() + minutes * 60_000
  const half = performance.now() + minutes * 30_000
  let isRestarted = false
  while (performance.now() < ends) {
    await beat(kubectl)
    await sleep(10_000)
    if (isRestarted || performance.now() < half) continue
    await running.restartOperator()
    isRestarted = true
  }
  const ended = running.ended()
  if (ended.length > 0) throw new Error(`${ended.join(' and ')} ended during the idle time`)
  const writes = (await operatorWrites(api)).slice(before)
  await phases(kubectl, { running: 'Training', waiting: 'Waiting', suspended: 'Suspended', failed: 'Failed' })
  reportFragment({
    about: ABOUT,
    rows: [
      row({
        ...{ name: `writes in ${minutes} idle minutes`, value: writes.length, goal: 0, unit: 'writes' },
        direction: 'atMost',
        note: [`${before} writes until all was settled`, ...writes.slice(0, 5)].join('; '),
      }),
    ],
  })
}

/** How many writes there were when nothing had followed for a while. */
async function settled(api: ApiServer): Promise<number> {
  let count = (await operatorWrites(api)).length
  let since = performance.now()
  return waitFor({ what: 'no write any more', timeoutMs: 300_000, intervalMs: 2_000 }, async () => {
    const now = (await operatorWrites(api)).length
    if (now !== count) since = performance.now()
    count = now
    return performance.now() - since > SETTLED_MS ? count : undefined
  })
}

async function beat(run: Kubectl): Promise<void> {
  for (const node of NODES) {
    const patch = JSON.stringify(heartbeat(new Date().toISOString().replace(/\.\d+Z$/, 'Z')))
    await run(['patch', 'node', node, '--subresource=status', '--type=merge', `--patch=${patch}`])
  }
}

async function phases(run: Kubectl, wanted: Record<string, string>): Promise<void> {
  await waitFor({ what: `phases ${JSON.stringify(wanted)}`, timeoutMs: 120_000 }, async () => {
    const text = await run(['get', 'federatedrounds', '--namespace=city', '--output=json'])
    const { items } = JSON.parse(text) as {
      items: { metadata: { name: string }; status?: { phase?: string } }[]
    }
    const found = Object.fromEntries(
      items.map(({ metadata, status }) => [metadata.name, status?.phase ?? '']),
    )
    for (const [name, phase] of Object.entries(wanted))
      if (found[name] !== phase) throw new Error(`${name} is ${found[name] ?? 'not there'}`)
    return true
  })
}

/** As their kubelets would say. */
async function makePodsRun(run: Kubectl): Promise<void> {
  await waitFor({ what: 'three pods', timeoutMs: 60_000 }, async () => {
    const text = await run(['get', 'pods', '--namespace=city', '--output=name'])
    const names = text.split('\n').filter((line) => line !== '')
    if (names.length !== NODES.length) throw new Error(`there are ${names.length}`)
    for (const name of names) {
      const patch = JSON.stringify({ status: { phase: 'Running' } })
      await run([
        'patch',
        name,
        '--namespace=city',
        '--subresource=status',
        '--type=merge',
        `--patch=${patch}`,
      ])
    }
    return true
  })
}
