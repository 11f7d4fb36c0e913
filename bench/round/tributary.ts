/*
 * Our side of the empty round: a hub and two training pods as processes, over TLS, driven by what the operator would
 * say. The pods run the bundle that the image carries. There is no way to train nothing: they make one step on eight
 * samples and evaluate two, so our figure has more in it than the peer's.
 */
import type { ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { bundle } from '#e2e/images/bundle.ts'
import { formatHubAddress } from '#federation/wire/endpoint.ts'
import {
  type CampaignReference,
  type CampaignState,
  type Change,
  RoundState_Phase,
} from '#federation/wire/generated/tributary.ts'
import { testCertificate } from '#federation/wire/testing/certificate.ts'
import { bearer, call, clientsOf, type Endpoint } from '#operator/hub/testing/clients.ts'
import { agentToken, operatorToken, podToken } from '#operator/hub/testing/fakes.ts'
import { CAMPAIGN, campaignPlan } from '#federation/tier/testing/plans.ts'
import { modelPlan } from '#operator/hub/testing/story.ts'

import { denseModel } from '../models.ts'
import { cpuSeconds, end, heldMegabytes, type Memory, start } from '../processes.ts'
import type { Rounds } from './flower.ts'
import type { HubSettings } from './hub.ts'

const HUB = new URL('hub.ts', import.meta.url).pathname
const NODES = ['a', 'b']
const START_MS = 120_000
const ROUND_MS = 120_000
/** 8 inputs, 2 outputs, 2,494,462 parameters: 10 MB. */
const LAYERS = [8, 1100, 2250, 2]
const ROWS = 10

type Running = ChildProcess & { output: () => string }
type Clients = ReturnType<typeof clientsOf>

export class Tributary {
  readonly #folder: string
  readonly #processes: Running[] = []
  #endpoint: Endpoint = { port: 0, authority: '' }
  #clients: Clients | undefined

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** A hub that has admitted the model, and two pods that wait for their first round. @param folder empty */
  static async begin(folder: string): Promise<Tributary> {
    const tributary = new Tributary(folder)
    try {
      await tributary.#startHub()
      await tributary.#admit()
      await tributary.#apply()
      const program = join(import.meta.dirname, '../../dist/edge-agent/main.mjs')
      await bundle(join(import.meta.dirname, '../../edge-agent/main.ts'), program)
      for (const node of NODES) tributary.#startPod(program, node)
      await tributary.#until(({ participants }) => participants.filter((one) => one.connected).length === 2)
      return tributary
    } catch (error) {
      await tributary.end()
      throw error
    }
  }

  /** Memory, in MB, of one waiting training pod. */
  podMemory(): Memory {
    return heldMegabytes([this.#processes[1]?.pid ?? 0])
  }

  /** Runs rounds; the first one, in which the pods load the graphs, is not counted. */
  async run(rounds: number): Promise<Rounds> {
    const pids = this.#processes.map(({ pid }) => pid ?? 0)
    const wall: number[] = []
    let before = 0
    for (let round = 1; round <= rounds; round++) {
      if (round === 2) before = cpuSeconds(pids)
      const started = performance.now()
      await this.#apply(round)
      await this.#until(({ current }) => current?.round === round && current.phase === RoundState_Phase.DONE)
      wall.push((performance.now() - started) / 1000)
    }
    return { wall: wall.slice(1), cpu: (cpuSeconds(pids) - before) / (rounds - 1) }
  }

  /** Memory, in MB, of an agent that follows the hub and serves nothing yet. */
  async agentMemory(settleMs: number): Promise<Memory> {
    const program = join(import.meta.dirname, '../../dist/edge-agent/main.mjs')
    const publicKey = generateKeyPairSync('ed25519')
      .publicKey.export({ type: 'spki', format: 'pem' })
      .toString()
    const agent = this.#startEdge(program, 'agent', {
      token: agentToken('c'),
      flags: ['--state-folder', join(this.#folder, 'agent'), '--port', '0'],
      env: { TRIBUTARY_SIGNING_PUBLIC_KEY: publicKey },
    })
    await new Promise((resolve) => setTimeout(resolve, settleMs))
    if (agent.exitCode !== null) throw new Error(`the agent ended:\n${agent.output()}`)
    return heldMegabytes([agent.pid ?? 0])
  }

  async end(): Promise<void> {
    this.#clients?.close()
    for (const child of this.#processes.toReversed()) await end(child)
  }

  async #startHub(): Promise<void> {
    const certificate = await testCertificate()
    const modelFile = join(this.#folder, 'model.onnx')
    writeFileSync(modelFile, denseModel(LAYERS, 1))
    const signingKey = generateKeyPairSync('ed25519')
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString()
    const settings: HubSettings = { directory: join(this.#folder, 'hub'), certificate, signingKey, modelFile }
    const hub = start(process.execPath, [HUB, JSON.stringify(settings)], { env: {} })
    this.#processes.push(hub)
    const port = await waitFor(() => /listening on (\d+)/.exec(hub.output())?.[1], hub)
    this.#endpoint = { port: Number(port), authority: certificate.authority }
    this.#clients = clientsOf(this.#endpoint)
  }

  #startPod(program: string, node: string): void {
    const folder = join(this.#folder, `pod-${node}`)
    mkdirSync(folder)
    const path = join(folder, 'rows.csv')
    const row = Array.from({ length: 10 }, (_, column) => column / 10).join(',')
    const header = 'a,b,c,d,e,f,g,h,first,second'
    writeFileSync(path, [header, ...Array<string>(ROWS).fill(row)].join('\n'))
    this.#startEdge(program, 'train', {
      token: podToken(node),
      flags: ['--data-folder', folder, '--work-folder', join(folder, 'work')],
      env: {
        TRIBUTARY_CAMPAIGN: CAMPAIGN,
        TRIBUTARY_NODE_NAME: node,
        TRIBUTARY_DATASET: JSON.stringify({ path, labelColumns: ['first', 'second'] }),
      },
    })
  }

  #startEdge(
    program: string,
    command: string,
    given: { token: string; flags: string[]; env: Record<string, string> },
  ): Running {
    const tokenFile = join(this.#folder, `token-${this.#processes.length}`)
    writeFileSync(tokenFile, given.token)
    const { port, authority } = this.#endpoint
    const address = formatHubAddress({ host: '127.0.0.1', port })
    const env = { ...given.env, TRIBUTARY_HUB_ADDRESS: address, TRIBUTARY_HUB_CA: authority }
    const args = [program, command, ...given.flags, '--token-file', tokenFile]
    const child = start(process.execPath, args, { env })
    this.#processes.push(child)
    return child
  }

  async #admit(): Promise<void> {
    const { control } = this.#open()
    await call(control.applyModel.bind(control), modelPlan({ servingNodes: [] }), operatorToken)
  }

  async #apply(round?: number): Promise<void> {
    const { control } = this.#open()
    const shared = {
      ...{ attempt: 1, participants: NODES, minimumUpdates: 2, deadlineSeconds: 600 },
      ...{ rounds: 1000, population: 2 },
    }
    const plan = campaignPlan({ round: round === undefined ? undefined : { round, ...shared } })
    await call(control.applyCampaign.bind(control), plan, operatorToken)
  }

  /** Waits for a change that makes it so, as the operator does. */
  async #until(condition: (state: CampaignState) => boolean): Promise<void> {
    const { control } = this.#open()
    const timeout = AbortSignal.timeout(ROUND_MS)
    const changes = control.watch({}, bearer(operatorToken))
    timeout.addEventListener('abort', () => changes.cancel())
    try {
      for await (const _ of changes as AsyncIterable<Change>) {
        const state = await call<CampaignReference, CampaignState>(
          control.getCampaign.bind(control),
          { uid: CAMPAIGN },
          operatorToken,
        )
        if (state.failureReason !== '') throw new Error(`${state.failureReason}: ${state.failureMessage}`)
        if (condition(state)) return
      }
    } finally {
      changes.cancel()
    }
  }

  #open(): Clients {
    if (!this.#clients) throw new Error('the hub has not been started')
    return this.#clients
  }
}

async function waitFor(look: () => string | undefined, child: Running): Promise<string> {
  const deadline = performance.now() + START_MS
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`not started:\n${child.output()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
