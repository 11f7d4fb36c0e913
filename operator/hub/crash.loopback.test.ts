// The hub is killed at random moments, at the first accepted update and in the middle of merges, and started again on
// the same volume. What it acknowledged must still count, nothing may count twice, and the merged parameters must have
// the bits of a run in which nothing happened. The seed is printed, so that a failure can be run again.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HubHttp } from '#federation/wire/http.ts'
import {
  RoundState_Phase,
  type CampaignPlan,
  type CampaignState,
  type RoundPlan,
  type TrainingPlan,
} from '#federation/wire/generated/tributary.ts'
import { uploadUpdate } from '#federation/wire/upload.ts'
import { call, clientsOf, sha256, type Endpoint } from './testing/clients.ts'
import { operatorToken, podToken, tinyModel } from './testing/fakes.ts'
import { MortalHub } from './testing/mortal-hub.ts'
import { CAMPAIGN, campaignPlan } from '#federation/tier/testing/plans.ts'
import { modelPlan, until } from './testing/story.ts'

const NODES = ['a', 'b', 'c', 'd', 'e', 'f']
const PARAMETERS = 200_000
const ROUNDS = 4
const SEED = 20_261_123
/** Thirty starts of a process on a busy machine. */
const TIMEOUT_MS = 5 * 60_000

let updates: string
beforeAll(async () => {
  updates = await mkdtemp(join(tmpdir(), 'tributary-updates-'))
})
afterAll(async () => rm(updates, { recursive: true, force: true }))

/** Uniform in [0, 1), the same sequence for the same seed. */
function randomFrom(seed: number): () => number {
  let counter = 0
  return () => createHash('sha256').update(`${seed}/${counter++}`).digest().readUInt32LE() / 2 ** 32
}

/** The update of a node in a round: a 1 at the node's own coordinate, something else in every other. */
function updateBytes(node: string, round: number): Buffer {
  const values = new Float32Array(PARAMETERS)
  for (let i = 0; i < PARAMETERS; i++) values[i] = Math.sin(i * 0.37 + node.charCodeAt(0) + round)
  NODES.forEach((other, index) => (values[index] = other === node ? 1 : 0))
  return Buffer.from(values.buffer)
}

const samplesOf = (node: string): number => 10 + node.charCodeAt(0) - 'a'.charCodeAt(0)

async function withControl<T>(
  endpoint: Endpoint,
  work: (clients: ReturnType<typeof clientsOf>) => Promise<T>,
): Promise<T> {
  const clients = clientsOf(endpoint)
  try {
    return await work(clients)
  } finally {
    clients.close()
  }
}

async function campaign(hub: MortalHub): Promise<CampaignState> {
  return withControl(hub.endpoint, async ({ control }) =>
    call(control.getCampaign.bind(control) as never, { uid: CAMPAIGN }, operatorToken),
  )
}

/** Like the operator: plans the round again and again until the hub has it. */
async function planRound(
  hub: MortalHub,
  round: number,
  changes: Partial<CampaignPlan> = {},
): Promise<CampaignState> {
  const attempt: RoundPlan = {
    round,
    attempt: 1,
    participants: NODES,
    minimumUpdates: NODES.length,
    deadlineSeconds: 600,
    rounds: 3,
    population: NODES.length,
  }
  const participants = NODES.map((node) => ({ node, pod: `pod-${node}` }))
  const plan = campaignPlan({ round: attempt, participants, evaluationDeadlineSeconds: 1, ...changes })
  await withControl(hub.endpoint, async ({ control }) => {
    await call(control.applyModel.bind(control) as never, modelPlan(), operatorToken)
    await call(control.applyCampaign.bind(control) as never, plan, operatorToken)
  })
  await until(async () => (await campaign(hub)).current?.round === round)
  return campaign(hub)
}

/** Sends the updates of all nodes as training pods do, and says which were acknowledged. */
async function sendAll(
  hub: MortalHub,
  round: number,
  base: string,
  acknowledged: Set<string>,
): Promise<void> {
  await Promise.all(
    NODES.map(async (node) => {
      await sendUpdate(hub, node, round, base)
      acknowledged.add(node)
    }),
  )
}

async function sendUpdate(hub: MortalHub, node: string, round: number, base: string): Promise<void> {
  const random = randomFrom(SEED + round)
  const signal = AbortSignal.timeout(120_000)
  const bytes = updateBytes(node, round)
  const path = join(updates, `${round}-${node}`)
  await writeFile(path, bytes)
  const { port, authority } = hub.endpoint
  const http = new HubHttp({
    host: '127.0.0.1',
    port,
    authority,
    readToken: () => Promise.resolve(podToken(node)),
  })
  const facts = {
    path,
    size: bytes.byteLength,
    digest: sha256(bytes),
    samples: samplesOf(node),
    steps: 3,
    loss: 0.5,
  }
  const key = { campaign: CAMPAIGN, round, participant: node }
  const backoff = { initialMs: 20, maximumMs: 100 }
  const update = { ...key, ...facts, parameters: base, neverSent: true }
  // In pieces, or as a whole: then the file of an update that is merged already is written over.
  const chunkBytes = round % 2 === 1 ? 64 * 1024 : bytes.byteLength
  const outcome = await uploadUpdate(update, { http, signal, random, backoff, chunkBytes })
  expect(outcome).toEqual({ kind: 'accepted' })
  http.destroy()
}

/** Digest of the parameters that each round starts from, the first round first, and of the last result. */
async function run(
  hub: MortalHub,
  disturb: (round: number, acknowledged: Set<string>) => Promise<void>,
): Promise<string[]> {
  const digests: string[] = []
  let base = sha256(Buffer.alloc(4 * PARAMETERS))
  for (let round = 1; round <= ROUNDS; round++) {
    await planRound(hub, round)
    const acknowledged = new Set<string>()
    await Promise.all([sendAll(hub, round, base, acknowledged), disturb(round, acknowledged)])
    await until(async () => (await campaign(hub)).current?.phase === RoundState_Phase.DONE)
    const { current } = await campaign(hub)
    expect(current).toMatchObject({ round, received: NODES.length, samples: 75 })
    base = current?.parametersDigest ?? ''
    digests.push(base)
  }
  return digests
}

describe('a hub that is killed again and again', () => {
  it(
    `loses nothing, counts nothing twice and merges to the same bits (seed ${SEED})`,
    async () => {
      const model = tinyModel(new Float32Array(PARAMETERS))
      const calm = await MortalHub.create(model)
      const want = await run(calm, () => Promise.resolve())
      await calm.remove()

      const hub = await MortalHub.create(model)
      const random = randomFrom(SEED)
      let kills = 0
      const killAndCheck = async (acknowledged: Set<string>): Promise<void> => {
        const sure = new Set(acknowledged)
        await hub.kill()
        kills += 1
        await hub.start()
        const state = await campaign(hub)
        const accepted = state.participants
          .filter(({ updateAccepted }) => updateAccepted)
          .map(({ node }) => node)
        expect(accepted).toEqual(expect.arrayContaining([...sure]))
        expect(state.current?.received).toBe(accepted.length)
      }
      const got = await run(hub, async (round, acknowledged) => {
        const folder = join(hub.directory, 'campaigns', CAMPAIGN, 'rounds', String(round))
        for (let turn = 0; turn < 3; turn++) {
          await new Promise((resolve) => setTimeout(resolve, random() * 250))
          await killAndCheck(acknowledged)
        }
        const firstUpdate = NODES.map((node) => join(folder, 'updates', node, 'update.json'))
        await until(() => firstUpdate.some((path) => existsSync(path)))
        await killAndCheck(acknowledged)
        await until(() => existsSync(join(folder, 'commit.json')))
        await killAndCheck(acknowledged)
      })
      await hub.remove()
      expect(kills).toBe(20)
      expect(got).toEqual(want)
    },
    TIMEOUT_MS,
  )
})

describe('a hub with FedBuff that is killed', () => {
  const strategy = JSON.stringify({ type: 'FedBuff', bufferSize: 2, maxStaleness: 2 })
  const training = { ...(campaignPlan().training as TrainingPlan), strategy }
  const buffered = (round: number): Partial<CampaignPlan> => {
    const attempt = { round, attempt: 1, participants: NODES, minimumUpdates: 2, deadlineSeconds: 600 }
    return { training, round: { ...attempt, rounds: 3, population: NODES.length } }
  }
  const done = async (hub: MortalHub): Promise<string> => {
    await until(async () => (await campaign(hub)).current?.phase === RoundState_Phase.DONE)
    const { current } = await campaign(hub)
    expect(current).toMatchObject({ received: 2, wanted: 2 })
    return current?.parametersDigest ?? ''
  }

  /** Round 2 merges what f trained from round 1 and what b trained from round 2. */
  async function twoRounds(hub: MortalHub, disturb: () => Promise<void>): Promise<string> {
    const initial = sha256(Buffer.alloc(4 * PARAMETERS))
    await planRound(hub, 1, buffered(1))
    for (const node of ['a', 'b']) await sendUpdate(hub, node, 1, initial)
    const first = await done(hub)
    await planRound(hub, 2, buffered(2))
    await sendUpdate(hub, 'f', 1, initial)
    await disturb()
    await sendUpdate(hub, 'f', 1, initial)
    expect((await campaign(hub)).current).toMatchObject({ round: 2, received: 1 })
    const commit = join(hub.directory, 'campaigns', CAMPAIGN, 'rounds', '2', 'commit.json')
    await Promise.all([sendUpdate(hub, 'b', 2, first), until(() => existsSync(commit)).then(disturb)])
    return done(hub)
  }

  it(
    'counts a stale update that was acknowledged, once, and merges to the same bits',
    async () => {
      const model = tinyModel(new Float32Array(PARAMETERS))
      const results: string[] = []
      for (const kills of [false, true]) {
        const hub = await MortalHub.create(model)
        results.push(
          await twoRounds(hub, async () => {
            if (!kills) return
            await hub.kill()
            await hub.start()
          }),
        )
        await hub.remove()
      }
      expect(results[1]).toBe(results[0])
    },
    TIMEOUT_MS,
  )
})
