/*
 * What an edge process holds while nothing happens: a training pod that waits for its first round, and an agent, against
 * Flower's SuperNode with the SuperExec that it starts. Shared pages are divided among those that share them.
 *
 *   node bench/idle/main.ts [--out FILE]
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Flower } from '../round/flower.ts'
import { Tributary } from '../round/tributary.ts'
import { report, row } from '../rows.ts'

const SETTLE_MS = 10_000

const folder = mkdtempSync(join(tmpdir(), 'tributary-idle-'))
try {
  for (const name of ['flower', 'tributary']) mkdirSync(join(folder, name))
  const flower = await Flower.begin(join(folder, 'flower'))
  const tributary = await Tributary.begin(join(folder, 'tributary'))
  try {
    const agent = await tributary.agentMegabytes(SETTLE_MS)
    const pod = tributary.podMegabytes()
    const node = flower.nodeMegabytes()
    const note = `${node.toFixed(0)} MB for a SuperNode with its SuperExec`
    report({
      rows: [
        row({
          name: 'memory of a waiting training pod, against a Flower SuperNode',
          value: node / pod,
          goal: 5,
          note: `${pod.toFixed(0)} MB against ${note}`,
        }),
        row({
          name: 'memory of an idle agent, against a Flower SuperNode',
          value: node / agent,
          goal: 5,
          note: `${agent.toFixed(0)} MB against ${note}`,
        }),
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
