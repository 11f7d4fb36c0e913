/*
 * 100 MiB in each direction between a hub and a training pod, over a link that is cut every 5 MiB; then over one that falls silent
 * in the middle and closes nothing.
 *
 *   node e2e/faults/transfers/main.ts [--out FILE]
 */
import { row } from '#bench/rows.ts'
import type { Direction } from '#federation/wire/testing/link.ts'
import { reportFragment } from '../fragment.ts'
import { type Outcome, Transfers } from './transfers.ts'

const MIB = 1024 * 1024
const SIZE = 100 * MIB
const NAMES: Record<Direction, string> = { up: 'upload', down: 'download' }

const cut = await inBoth((transfers, direction) =>
  transfers[direction]({ cutEvery: { direction, bytes: 5 * MIB } }),
)
const silent = await inBoth((transfers, direction) => transfers[direction]({ silentAfter: SIZE / 2 }))

reportFragment({
  about:
    'A hub in a process of its own and the code of training pods, with a link of 100 Mbit/s between them that fails on purpose. ' +
    'Bytes are counted on the link, those of TLS and HTTP included; what arrived is compared by its digest.',
  rows: [
    ...cut.map(([direction, { crossed, cuts, intact }]) =>
      row({
        name: `100 MiB ${NAMES[direction]}, the link cut every 5 MiB: bytes sent again`,
        value: intact ? round(100 * (crossed / SIZE - 1)) : null,
        unit: '%',
        goal: 5,
        direction: 'atMost',
        note: intact
          ? `${cuts} cuts, ${crossed} bytes crossed the link`
          : 'what arrived is not what was sent',
      }),
    ),
    ...silent.map(([direction, { longestPauseMs, crossed, intact }]) =>
      row({
        name: `100 MiB ${NAMES[direction]}, the link silent in the middle: until bytes flow again`,
        value: intact ? round(longestPauseMs / 1000) : null,
        unit: 's',
        goal: 30,
        direction: 'atMost',
        note: intact ? `${crossed} bytes crossed the link` : 'what arrived is not what was sent',
      }),
    ),
  ],
})

/** A hub takes one update of a node: each transfer has its own. */
async function inBoth(
  work: (transfers: Transfers, direction: Direction) => Promise<Outcome>,
): Promise<[Direction, Outcome][]> {
  const outcomes: [Direction, Outcome][] = []
  const transfers = await Transfers.open(SIZE)
  try {
    for (const direction of ['up', 'down'] as const) {
      outcomes.push([direction, await work(transfers, direction)])
    }
  } finally {
    await transfers.close()
  }
  return outcomes
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
