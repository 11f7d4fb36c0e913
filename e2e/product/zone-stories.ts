// A campaign in zones when something of the tree is lost: the node of an edge controller, or the way from a zone to the cloud. Each tells
// what it saw; what has to be true of it is in main.story.test.ts.
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { waitFor } from '#e2e/cluster/wait.ts'
import { startCampaign } from './campaign-namespace.ts'
import { roundOf, waitForCompletion, waitForRollout, waitForRound, type Ref } from './campaign.ts'
import { listObjects } from './install.ts'
import { nodesOf, withZoneCutOff } from './zone-link.ts'

const MINUTE = 60_000

/** Who is away does not evaluate either, and is not waited for as long as usual. */
const EVALUATION = { holdoutFraction: 0.2, split: 'Random', deadlineSeconds: 15 }

type Tier = NonNullable<FederatedRoundStatus['tiers']>[number]
type Done = NonNullable<FederatedRoundStatus['history']>[number]

export interface ControllerLost {
  before: Tier
  after: Tier
  /** The first round that ended without the lost node. */
  without: Done
  /** The first round that it took part in again. */
  again: Done
  /** Greatest number of updates that a round had beyond those that it wanted. */
  surplus: number
  /** What `kubectl describe` shows after it. */
  described: string
}

/** The node of a zone's controller falls off the network in the middle of a round, and comes back. */
export async function controllerNodeLost(cluster: Cluster, ref: Ref, zone: string): Promise<ControllerLost> {
  let surplus = 0
  const onLook = ({ updates }: FederatedRoundStatus): void => {
    surplus = Math.max(surplus, (updates?.received ?? 0) - (updates?.wanted ?? 0))
  }
  await startCampaign(cluster, ref.namespace, {
    rounds: 200,
    completion: { minUpdates: 3, deadlineSeconds: 90 },
    training: { epochs: 8 },
    evaluation: EVALUATION,
    hierarchy: { type: 'Zones', zones: { deadlineSeconds: 60, controller: { lostAfterSeconds: 5 } } },
  })
  const begun = await waitForRound(cluster, ref, {
    ...{ what: 'a round with all nodes, through controllers', timeoutMs: 5 * MINUTE, onLook },
    when: (status) => allUpdates(status) && (status.tiers ?? []).every(isThere) && isTraining(status),
  })
  const before = tierOf(begun.status, zone)
  await cluster.cutNode(before.node)
  let without: Done | undefined
  let after: Tier
  try {
    const short = await waitForRound(cluster, ref, {
      ...{ what: `a round without ${before.node}`, timeoutMs: 6 * MINUTE, onLook },
      when: ({ history, tiers }) =>
        history?.[0]?.updates === 3 &&
        (tiers ?? []).some((tier) => tier.zone === zone && tier.epoch > before.epoch && isThere(tier)),
    })
    without = short.status?.history?.[0]
    after = tierOf(short.status, zone)
  } finally {
    await cluster.joinNode(before.node)
  }
  const whole = await waitForRound(cluster, ref, {
    ...{ what: `${before.node} takes part again`, timeoutMs: 5 * MINUTE, onLook },
    when: allUpdates,
  })
  await waitFor({ what: `pod ${before.pod} gone`, timeoutMs: 2 * MINUTE }, async () =>
    (await podsOf(cluster, ref.namespace)).includes(before.pod) ? undefined : true,
  )
  const described = await cluster.kubectl([
    'describe',
    'federatedround',
    ref.name,
    `--namespace=${ref.namespace}`,
  ])
  await finish(cluster, ref)
  const again = whole.status?.history?.[0]
  if (!without || !again) throw new Error('a round that was waited for is not in the history')
  return { before, after, without, again, surplus, described }
}

export interface ZoneCutOff {
  /** The round that ran while the zone was away. */
  missed: Done
  /** What became of the zone's updates, over all rounds. */
  late: { counted: number; dropped: number }
  /** How often the agents of the zone were asked while it was away, and what they did not answer well. */
  served: { asked: number; failures: string[] }
}

/** A zone loses its way to the cloud when a round has begun, and gets it back when that round is over. Late updates are carried. */
export async function zoneCutOff(cluster: Cluster, ref: Ref, zone: string): Promise<ZoneCutOff> {
  await startCampaign(cluster, ref.namespace, {
    rounds: 200,
    lateUpdates: 'Carry',
    completion: { minUpdates: 2, deadlineSeconds: 60 },
    // Long enough for the zone to be cut off before it is done.
    training: { epochs: 24 },
    evaluation: EVALUATION,
    hierarchy: {
      type: 'Zones',
      zones: { minUpdates: '100%', deadlineSeconds: 50, controller: { lostAfterSeconds: 900 } },
    },
  })
  await waitForRollout(cluster, ref, 3 * MINUTE, 'v1')
  const begun = await waitForRound(cluster, ref, {
    ...{ what: 'a further round, through controllers', timeoutMs: 5 * MINUTE },
    when: (status) =>
      allUpdates(status) &&
      (status.tiers ?? []).every(isThere) &&
      isTraining(status) &&
      receivedNothing(status),
  })
  const round = begun.status?.round ?? 0
  const served = { asked: 0, failures: [] as string[] }
  const missed = await withZoneCutOff(cluster, zone, async () =>
    waitFor({ what: `round ${round} done`, timeoutMs: 5 * MINUTE, intervalMs: 1_000 }, async () => {
      for (const node of nodesOf(cluster, zone)) {
        served.asked += 1
        const answer = await modelReadiness(cluster, node, ref)
        if (answer !== '200') served.failures.push(`${node}: ${answer}`)
      }
      return (await roundOf(cluster, ref))?.status?.history?.find((done) => done.round === round)
    }),
  )
  const rounds = new Map<number, Done>()
  await waitForRound(cluster, ref, {
    ...{ what: 'late updates counted, and a round with all nodes after it', timeoutMs: 5 * MINUTE },
    onLook: ({ history }) => {
      for (const done of history ?? []) rounds.set(done.round, done)
    },
    when: (status) => sumOfLate(rounds).counted > 0 && allUpdates(status) && !status.history?.[0]?.late,
  })
  await finish(cluster, ref)
  return { missed, late: sumOfLate(rounds), served }
}

function sumOfLate(rounds: ReadonlyMap<number, Done>): { counted: number; dropped: number } {
  const late = [...rounds.values()].map((done) => done.late ?? { counted: 0, dropped: 0 })
  return {
    counted: late.reduce((sum, { counted }) => sum + counted, 0),
    dropped: late.reduce((sum, { dropped }) => sum + dropped, 0),
  }
}

/** Whether the node's own agent would answer a question about the model, asked on the node. */
async function modelReadiness(cluster: Cluster, node: string, ref: Ref): Promise<string> {
  const url = `http://127.0.0.1:8000/v2/models/${ref.namespace}.${ref.name}/ready`
  const script = `fetch('${url}').then((answer) => console.log(answer.status), (error) => console.log(String(error)))`
  return (await cluster.execOnNode(node, [process.execPath, '--eval', script])).trim()
}

/** The round that is open becomes the last one; every node gets its model, and no pod stays. */
async function finish(cluster: Cluster, ref: Ref): Promise<void> {
  const patch = ['--type=merge', '--patch={"spec":{"rounds":1}}']
  await cluster.kubectl(['patch', 'federatedround', ref.name, `--namespace=${ref.namespace}`, ...patch])
  await waitForCompletion(cluster, ref, 5 * MINUTE)
  await waitForRollout(cluster, ref, 3 * MINUTE, 'v2')
  await waitFor({ what: 'all pods of the campaign gone', timeoutMs: 2 * MINUTE }, async () => {
    const left = await podsOf(cluster, ref.namespace)
    if (left.length > 0) throw new Error(`there are ${left.join(', ')}`)
    return true
  })
}

async function podsOf(cluster: Cluster, namespace: string): Promise<string[]> {
  const pods = await listObjects<{ metadata: { name: string } }>(cluster, 'pods', `--namespace=${namespace}`)
  return pods.map(({ metadata }) => metadata.name)
}

function tierOf(status: FederatedRoundStatus | undefined, zone: string): Tier {
  const found = status?.tiers?.find((tier) => tier.zone === zone)
  if (!found) throw new Error(`the status names no zone ${zone}`)
  return found
}

const isThere = ({ state }: Tier): boolean => ['Connected', 'Delivered'].includes(state)
const isTraining = ({ phase }: FederatedRoundStatus): boolean => phase === 'Training'
const receivedNothing = ({ updates, tiers }: FederatedRoundStatus): boolean =>
  updates?.received === 0 && (tiers ?? []).every(({ received }) => received === 0)
const allUpdates = ({ history }: FederatedRoundStatus): boolean => history?.[0]?.updates === 4
