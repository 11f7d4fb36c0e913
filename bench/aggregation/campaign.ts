// A hub in a process of its own with a campaign in its first round, and the training pods that send it updates.
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { RoundState_Phase, type CampaignState } from '#federation/wire/generated/tributary.ts'
import { HubHttp } from '#federation/wire/http.ts'
import { testCertificate, type TestCertificate } from '#federation/wire/testing/certificate.ts'
import { uploadUpdate } from '#federation/wire/upload.ts'
import { call, clientsOf } from '#operator/hub/testing/clients.ts'
import { operatorToken, podToken } from '#operator/hub/testing/fakes.ts'
import { CAMPAIGN, campaignPlan } from '#federation/tier/testing/plans.ts'
import { modelPlan } from '#operator/hub/testing/story.ts'
import { Driver } from './driver.ts'
import { updateValues } from './inputs.ts'

const LIMIT_MS = 10 * 60_000

export interface Keys extends TestCertificate {
  /** The same as files. */
  readonly paths: { readonly key: string; readonly certificate: string; readonly authority: string }
}

export async function keysIn(folder: string): Promise<Keys> {
  const certificate = await testCertificate()
  const path = (name: string): string => join(folder, `${name}.pem`)
  const paths = { key: path('key'), certificate: path('certificate'), authority: path('authority') }
  await writeFile(paths.key, certificate.key)
  await writeFile(paths.certificate, certificate.certificate)
  await writeFile(paths.authority, certificate.authority)
  return { ...certificate, paths }
}

export class BenchHub {
  readonly #driver: Driver
  readonly #keys: Keys
  readonly #nodes: readonly string[]
  readonly #update: { readonly path: string; readonly size: number; readonly digest: string }
  #parameters = ''
  #round = 1
  /** One for each port: what a pod does before it sends its update has opened the connection that it sends it over. */
  readonly #clients = new Map<number, HubHttp>()
  #sender = ''

  private constructor(driver: Driver, keys: Keys, of: { nodes: string[]; path: string; bytes: Uint8Array }) {
    this.#driver = driver
    this.#keys = keys
    this.#nodes = of.nodes
    this.#update = { path: of.path, size: of.bytes.length, digest: digestOf(of.bytes) }
  }

  /** A hub below `folder` that waits for one update of `values` float32 values from each of `participants` nodes. */
  static async start(
    folder: string,
    keys: Keys,
    of: { participants: number; values: number },
  ): Promise<BenchHub> {
    const bytes = new Uint8Array(updateValues(1, of.values).buffer)
    const path = join(folder, `update-${of.values}`)
    await writeFile(path, bytes)
    const args = [join(folder, 'hub'), String(of.values), keys.paths.key, keys.paths.certificate]
    const driver = await Driver.start(process.execPath, [join(import.meta.dirname, 'hub.ts'), ...args])
    const nodes = Array.from({ length: of.participants }, (_, k) => `node-${k}`)
    const hub = new BenchHub(driver, keys, { nodes, path, bytes })
    await hub.#open()
    return hub
  }

  get port(): number {
    return this.#driver.ready.port ?? 0
  }

  get participants(): readonly string[] {
    return this.#nodes
  }

  /** Processor seconds of the hub so far. */
  async seconds(): Promise<number> {
    return this.#driver.seconds('seconds')
  }

  /** Sends the update of a node as its training pod does. @param port of the hub, or of what stands before it */
  async send(node: string, port = this.port): Promise<void> {
    const key = { campaign: CAMPAIGN, round: this.#round, participant: node }
    const facts = { ...key, samples: 10, steps: 10, loss: 0.5 }
    const update = { ...facts, ...this.#update, parameters: this.#parameters, neverSent: true }
    this.#sender = node
    const options = { http: this.#client(port), signal: AbortSignal.timeout(LIMIT_MS), random: Math.random }
    const outcome = await uploadUpdate(update, options)
    if (outcome.kind !== 'accepted') throw new Error(`the update of ${node}: ${JSON.stringify(outcome)}`)
  }

  #client(port: number): HubHttp {
    const readToken = async (): Promise<string> => Promise.resolve(podToken(this.#sender))
    const { authority } = this.#keys
    const client = this.#clients.get(port) ?? new HubHttp({ host: '127.0.0.1', port, authority, readToken })
    this.#clients.set(port, client)
    return client
  }

  async merged(): Promise<void> {
    await this.#until((state) => {
      const phase = state.current?.phase
      return phase === RoundState_Phase.EVALUATING || phase === RoundState_Phase.DONE
    })
  }

  /** Once the round is merged: has every node wanted again. Nobody evaluates, so this takes as long as that is awaited. */
  async nextRound(): Promise<void> {
    await this.#until((state) => state.current?.phase === RoundState_Phase.DONE)
    const { current } = await this.#state()
    this.#parameters = current?.parametersDigest ?? ''
    this.#round += 1
    await this.#plan()
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) client.destroy()
    await this.#driver.stop()
  }

  async #open(): Promise<void> {
    await this.#call('applyModel', modelPlan())
    await this.#plan()
    this.#parameters = digestOf(new Uint8Array(this.#update.size))
  }

  async #plan(): Promise<void> {
    const participants = this.#nodes.map((node) => ({ node, pod: `pod-${node}` }))
    const { round: planned } = campaignPlan()
    if (!planned) throw new Error('the plan of the tests opens no round')
    const wanted = { participants: [...this.#nodes], minimumUpdates: this.#nodes.length, rounds: 3 }
    const round = { ...planned, ...wanted, round: this.#round, deadlineSeconds: 3600 }
    await this.#call('applyCampaign', campaignPlan({ participants, round, evaluationDeadlineSeconds: 1 }))
    await this.#until((state) => state.current?.round === this.#round)
  }

  async #state(): Promise<CampaignState> {
    return (await this.#call('getCampaign', { uid: CAMPAIGN })) as CampaignState
  }

  async #until(condition: (state: CampaignState) => boolean): Promise<void> {
    while (!condition(await this.#state())) await sleep(50)
  }

  async #call(method: 'applyModel' | 'applyCampaign' | 'getCampaign', request: unknown): Promise<unknown> {
    const clients = clientsOf({ port: this.port, authority: this.#keys.authority })
    try {
      return await call(clients.control[method].bind(clients.control) as never, request, operatorToken)
    } finally {
      clients.close()
    }
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
