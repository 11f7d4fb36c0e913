/*
 * `make faults T=e2e/faults/tiers`: the same campaign without zones and in four zones of two nodes, on a cluster of its own. Breaks
 * nothing: it shows that the tree changes neither the model nor what the nodes get, and what it saves.
 */
import { Command } from 'commander'
import { row, type Row } from '#bench/rows.ts'
import { progressTo } from '#e2e/cluster/progress.ts'
import type { Topology } from '#e2e/cluster/topology.ts'
import { EXAMPLE } from '#e2e/product/campaign-namespace.ts'
import { placeData } from '#e2e/product/example.ts'
import { clusterDown, clusterUp, productUp, step } from '#e2e/product/up.ts'
import { reportFragment } from '../fragment.ts'
import { relativeDistance } from './distance.ts'
import { measure, type Measured } from './measure.ts'

const ZONES = ['north', 'east', 'south', 'west']
const NODES_OF_A_ZONE = 2
const NODES = ZONES.length * NODES_OF_A_ZONE
const MOST_ROUNDS = 3

const TOPOLOGY: Topology = {
  nodes: [
    { name: 'cloud-1', role: 'cloud' },
    ...ZONES.flatMap((zone) =>
      Array.from({ length: NODES_OF_A_ZONE }, (_, index) => {
        return { name: `${zone}-${String(index + 1)}`, role: 'edge', zone } as const
      }),
    ),
  ],
  nodeMonitorGraceSeconds: 40,
}
const CHOICE = { name: 'tiers', topology: TOPOLOGY }

const HIERARCHIES = {
  flat: { type: 'Flat' },
  zones: { type: 'Zones', zones: { minUpdates: '100%', deadlineSeconds: 400 } },
}

const program = new Command('tiers')
  .option('--keep', 'leave the cluster up')
  .option('--out <file>', 'where the rows are written')
  .action(async ({ keep }: { keep?: true }) => {
    const progress = progressTo({
      isTTY: process.stderr.isTTY,
      write: (text) => process.stderr.write(text),
      now: () => performance.now(),
    })
    try {
      const cluster = await clusterUp(progress, CHOICE)
      await productUp(cluster, progress)
      await placeData(cluster, EXAMPLE, 1)
      const campaign = async (name: keyof typeof HIERARCHIES, rounds: number): Promise<Measured> => {
        const namespace = `tiers-${name}-${String(rounds)}`
        const hierarchy = HIERARCHIES[name]
        return await step(progress, `${name}, ${String(rounds)} rounds`, async () => {
          return await measure(cluster, { namespace, rounds, hierarchy })
        })
      }
      const one = { flat: await campaign('flat', 1), zones: await campaign('zones', 1) }
      const more = { flat: await campaign('flat', MOST_ROUNDS), zones: await campaign('zones', MOST_ROUNDS) }
      reportFragment({ about: ABOUT, rows: rowsOf(one, more) })
    } finally {
      if (!keep) await clusterDown(progress, CHOICE.name)
    }
  })

const ABOUT = [
  `A cluster of a cloud node and ${ZONES.length} zones of ${NODES_OF_A_ZONE} edge nodes. The campaign of examples/digits, every node’s`,
  'update in every round, runs without zones and then with an edge controller in each, from the same model and the same data. Bytes are',
  'those that the hub counts, from the campaign’s beginning until all agents serve its version; the artefacts are those that its',
  'volume holds: graphs, parameters before and after each round, the version and its manifest.',
].join(' ')

interface Pair {
  flat: Measured
  zones: Measured
}

function rowsOf(one: Pair, more: Pair): Row[] {
  const all = [one.flat, one.zones, more.flat, more.zones]
  const distance = ({ flat, zones }: Pair): number =>
    relativeDistance(flat.artefacts.parameters, zones.artefacts.parameters)
  const { flat, zones } = more
  const { bytes, count } = zones.artefacts
  return [
    row({
      name: `fewest updates that a round was merged of, ${NODES} nodes`,
      ...{ value: Math.min(...all.map(({ updates }) => updates)), goal: NODES, unit: 'updates' },
    }),
    row({
      name: 'distance of the model in zones from the flat one after one merge',
      ...{ value: distance(one), goal: 1e-6, unit: 'of its largest value', direction: 'atMost' },
      note: `${distance(more).toExponential(1)} after ${MOST_ROUNDS} rounds, each of which trains on from the rounding of the one before`,
    }),
    row({
      name: 'times that a zone downloaded an artefact',
      ...{ value: zones.traffic.sent / (ZONES.length * bytes), goal: 1, unit: 'times', direction: 'atMost' },
      note: `the hub sent ${zones.traffic.sent} bytes to ${ZONES.length} zones, its ${count} artefacts are ${bytes} bytes`,
    }),
    row({
      name: 'bytes that the hub sent, flat over in zones',
      ...{ value: flat.traffic.sent / zones.traffic.sent, goal: NODES_OF_A_ZONE },
      note: `${flat.traffic.sent} and ${zones.traffic.sent} bytes`,
    }),
    row({
      name: 'bytes of updates that the hub received, flat over in zones',
      ...{ value: flat.traffic.received / zones.traffic.received, goal: NODES_OF_A_ZONE },
      note: `${flat.traffic.received} and ${zones.traffic.received} bytes`,
    }),
  ]
}

await program.parseAsync()
