// The main job on a real cluster, judged as a user would: by what kubectl shows and what the agents answer.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { silentProgress } from '#e2e/cluster/progress.ts'
import { waitFor } from '#e2e/cluster/wait.ts'
import { deleteNamespace, EXAMPLE, startCampaign } from './campaign-namespace.ts'
import { modelOf, waitForCompletion, waitForRollout, waitForRound } from './campaign.ts'
import { placeData } from './example.ts'
import type { LabelledSample } from './example.ts'
import { predictClasses } from './inference.ts'
import { edgeNodes, listObjects } from './install.ts'
import { undisturbed, disturbed } from './disturbed-campaigns.ts'
import { operatorWrites, restartEverything } from './idle.ts'
import { clusterDown, clusterIsUp, clusterUp, productUp } from './up.ts'
import { joinZone } from './zone-link.ts'
import { controllerNodeLost, zoneCutOff } from './zone-stories.ts'

const MINUTE = 60_000

let cluster: Cluster
let test: LabelledSample[]
let wasUp: boolean

beforeAll(async () => {
  wasUp = await clusterIsUp()
  cluster = await clusterUp(silentProgress)
  await productUp(cluster, silentProgress)
  test = await placeData(cluster, EXAMPLE, 1)
}, 60 * MINUTE)

/** A namespace for one story; what an interrupted run left there goes first. */
async function story(
  namespace: string,
  tell: (ref: { namespace: string; name: string }) => Promise<void>,
): Promise<void> {
  await deleteNamespace(cluster, namespace)
  await tell({ namespace, name: EXAMPLE })
  await deleteNamespace(cluster, namespace)
}

describe('a campaign', () => {
  it('goes from manifests to predictions on every edge node, and its deletion leaves nothing', () =>
    story('story-main', async (ref) => {
      await startCampaign(cluster, ref.namespace, { rounds: 4 })
      const round = await waitForCompletion(cluster, ref, 10 * MINUTE)
      expect(round.status).toMatchObject({ roundProgress: '4/4', modelVersion: 'v2', baseVersion: 1 })
      expect(round.status?.history?.map((entry) => entry.round)).toEqual([4, 3, 2, 1])
      const accuracies = round.status?.history?.map((entry) => entry.metrics['accuracy'] ?? 0) ?? []
      expect(accuracies[0]).toBeGreaterThan(0.85)
      const model = await waitForRollout(cluster, ref, 3 * MINUTE, 'v2')
      expect(model.status?.updated).toBe('4/4')
      const questions = test.slice(0, 200)
      for (const node of edgeNodes(cluster)) {
        const answer = await predictClasses(
          cluster,
          node,
          `${ref.namespace}.${ref.name}`,
          questions.map((sample) => sample.features),
        )
        expect(answer.modelVersion).toBe('2')
        const right = answer.classes.filter((label, index) => label === questions[index]?.label).length
        expect(right / questions.length).toBeGreaterThan(0.85)
      }
      const shown = await cluster.kubectl([
        'describe',
        'federatedround',
        ref.name,
        `--namespace=${ref.namespace}`,
      ])
      for (const event of ['RoundStarted', 'RoundDone', 'VersionPublished', 'RoundsDone'])
        expect(shown).toContain(event)
      await waitFor({ what: 'the training pods gone', timeoutMs: MINUTE }, async () =>
        (await listObjects(cluster, 'pods', `--namespace=${ref.namespace}`)).length === 0 ? true : undefined,
      )
      await cluster.kubectl([
        'delete',
        'federatedround,edgemodel,deviceprofile',
        '--all',
        `--namespace=${ref.namespace}`,
        '--timeout=60s',
      ])
    }))

  it('stops at its target, and a suspended one goes on from where it was', () =>
    story('story-until', async (ref) => {
      await startCampaign(cluster, ref.namespace, {
        rounds: 30,
        suspend: true,
        until: { metric: 'accuracy', atLeast: 0.8 },
      })
      await waitForRound(cluster, ref, {
        what: 'Suspended',
        timeoutMs: 2 * MINUTE,
        when: (status) => status.phase === 'Suspended',
      })
      expect(await listObjects(cluster, 'pods', `--namespace=${ref.namespace}`)).toEqual([])
      await cluster.kubectl([
        'patch',
        'federatedround',
        ref.name,
        `--namespace=${ref.namespace}`,
        '--type=merge',
        '--patch={"spec":{"suspend":false}}',
      ])
      const { status } = await waitForCompletion(cluster, ref, 10 * MINUTE)
      expect(status?.round).toBeLessThan(30)
      expect(status?.conditions?.find((condition) => condition.type === 'Complete')?.reason).toBe(
        'TargetReached',
      )
    }))
})

describe('an edge node cut off in the middle of a round', () => {
  it('is named with the reason, its agent goes on serving, and it is back in the next round', () =>
    story('story-cut', async (ref) => {
      const cut = 'edge-b2'
      await startCampaign(cluster, ref.namespace, {
        rounds: 200,
        completion: { minUpdates: 3, deadlineSeconds: 60 },
        training: { epochs: 8 },
      })
      await waitForRound(cluster, ref, {
        what: 'round 1 done',
        timeoutMs: 5 * MINUTE,
        when: (status) => (status.history?.length ?? 0) >= 1,
      })
      await cluster.cutNode(cut)
      try {
        const short = await waitForRound(cluster, ref, {
          what: `a round without ${cut}`,
          timeoutMs: 5 * MINUTE,
          when: (status) => status.history?.[0]?.updates === 3,
        })
        expect(short.status?.history?.[0]).toMatchObject({ updates: 3 })
        const named = await waitForRound(cluster, ref, {
          what: `${cut} named unreachable`,
          timeoutMs: 3 * MINUTE,
          when: (status) =>
            status.participants?.some((entry) => entry.node === cut && entry.reason === 'NodeUnreachable') ??
            false,
        })
        expect(named.status?.phase).not.toBe('Failed')
        const script = "fetch('http://127.0.0.1:8000/v2/health/ready').then((r) => console.log(r.status))"
        expect((await cluster.execOnNode(cut, [process.execPath, '--eval', script])).trim()).toBe('200')
      } finally {
        await cluster.joinNode(cut)
      }
      await waitForRound(cluster, ref, {
        what: `${cut} takes part again`,
        timeoutMs: 5 * MINUTE,
        when: (status) => status.history?.[0]?.updates === 4,
      })
      const done = (await modelOf(cluster, ref))?.status?.latestVersion
      expect(done).toBe('v1')
      await cluster.kubectl([
        'patch',
        'federatedround',
        ref.name,
        `--namespace=${ref.namespace}`,
        '--type=merge',
        '--patch={"spec":{"rounds":1}}',
      ])
      await waitForCompletion(cluster, ref, 5 * MINUTE)
      const model = await waitForRollout(cluster, ref, 3 * MINUTE, 'v2')
      expect(model.status?.updated).toBe('4/4')
    }))
})

describe('a campaign in zones', () => {
  it('ends a round with all that reach any parent when the node of a controller is lost, and counts nobody twice', () =>
    story('story-controller', async (ref) => {
      const seen = await controllerNodeLost(cluster, ref, 'zone-a')
      expect(seen.without).toMatchObject({ updates: 3 })
      expect(seen.after.epoch).toBeGreaterThan(seen.before.epoch)
      expect(seen.after.node).not.toBe(seen.before.node)
      expect(seen.again).toMatchObject({ updates: 4, wanted: 4 })
      expect(seen.surplus).toBe(0)
      expect(seen.described).toContain('ControllerReplaced')
    }))

  it('goes on without a zone that is cut off, whose agents serve, and counts later what it had merged meanwhile', () =>
    story('story-zone', async (ref) => {
      const seen = await zoneCutOff(cluster, ref, 'zone-b')
      expect(seen.missed).toMatchObject({ updates: 2, wanted: 4 })
      expect(seen.late).toEqual({ counted: 2, dropped: 0 })
      expect(seen.served.failures).toEqual([])
      expect(seen.served.asked).toBeGreaterThan(0)
    }))
})

describe('kills at random moments', () => {
  it('change nothing about the model: operator, hub, an agent, a training pod', async () => {
    const want = await undisturbed(cluster, 'story-calm')
    const got = await disturbed(cluster, 'story-storm', { seed: 7, kills: 5 })
    expect(got.killed.length).toBeGreaterThan(0)
    expect(got.digest).toBe(want.digest)
  })
})

describe('an idle cluster', () => {
  it('sees no write of the operator after everything was restarted', async () => {
    await restartEverything(cluster)
    await sleep(20_000)
    const before = await operatorWrites(cluster)
    // The campaigns before this story were writes: a log that shows none of them would prove nothing.
    expect(before.length).toBeGreaterThan(0)
    await sleep(60_000)
    expect((await operatorWrites(cluster)).slice(before.length)).toEqual([])
  })
})

afterAll(async () => {
  // A run that failed half-way must not leave a node off the network for the next one.
  for (const node of edgeNodes(cluster)) await cluster.joinNode(node)
  await joinZone(cluster, 'zone-b')
  // A cluster that somebody works with stays; one that the tests made goes.
  if (!wasUp) await clusterDown(silentProgress)
}, 10 * MINUTE)
