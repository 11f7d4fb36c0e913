/*
 * What an edge process holds while nothing happens: a training pod that waits for its first round, and an agent, against
 * Flower's SuperNode with the SuperExec that it starts. On a node of its own each
 * side shares pages with nobody else, so resident sizes are compared; the note has the proportional ones, in which the six
 * Python processes of this machine share their libraries.
 *
 *   node bench/idle/main.ts [--out FILE]
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Flower } from '../round/flower.ts'
import { Tributary } from '../round/tributary.ts'
import type { Memory } from '../processes.ts'
import { report, row, type Row } from '../rows.ts'

const SETTLE_MS = 10_000

const folder = mkdtempSync(join(tmpdir(), 'tributary-idle-'))
try {
  for (const name of ['flower', 'tributary']) mkdirSync(join(folder, name))
  const flower = await Flower.begin(join(folder, 'flower'))
  const tributary = await Tributary.begin(join(folder, 'tributary'))
  try {
    const agent = await tributary.agentMemory(SETTLE_MS)
    const pod = tributary.podMemory()
    const node = flower.nodeMemory()
    report({
      rows: [
        comparison('memory of a waiting training pod', pod, node),
        comparison('memory of an idle agent', agent, node),
      ],
      versions: { flwr: '1.42.0' },
    })
  } finally {
    await tributary.end()
    await flower.end()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function comparison(what: string, ours: Memory, theirs: Memory): Row {
  const [own, peer] = [ours, theirs].map(
    ({ resident, proportional }) => `${resident.toFixed(0)} MB (${proportional.toFixed(0)} MB proportional)`,
  )
  return row({
    name: `${what}, against a Flower SuperNode with its SuperExec`,
    value: theirs.resident / ours.resident,
    goal: 5,
    note: `${own} against ${peer}; a Node.js process that has loaded TLS, HTTP and HTTP/2 and does nothing holds 56 MB`,
  })
}
