// An update and a parameter vector travel over a link that is cut again and again, or falls silent, between a hub in a process of its
// own and the code that training pods run. The link counts what crosses it: all bytes of the connections, the protocols' included.
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { CAMPAIGN, campaignPlan } from '#federation/tier/testing/plans.ts'
import { type BlobReference, downloadBlob } from '#federation/wire/download.ts'
import type { CampaignState } from '#federation/wire/generated/tributary.ts'
import { HubHttp } from '#federation/wire/http.ts'
import { type Direction, Link, type LinkOptions } from '#federation/wire/testing/link.ts'
import { uploadUpdate } from '#federation/wire/upload.ts'
import { call, clientsOf } from '#operator/hub/testing/clients.ts'
import { operatorToken, podToken, tinyModel } from '#operator/hub/testing/fakes.ts'
import { MortalHub } from '#operator/hub/testing/mortal-hub.ts'
import { modelPlan, until } from '#operator/hub/testing/story.ts'

/** 100 Mbit/s. */
const LINK_BYTES_PER_SECOND = 12_500_000
const LIMIT_MS = 10 * 60_000
const NODE = 'a'

export interface Outcome {
  /** Bytes of the file. */
  readonly size: number
  /** Bytes that crossed the link in the transfer's direction. */
  readonly crossed: number
  readonly cuts: number
  /** Whether what arrived is what was sent. */
  readonly intact: boolean
  /** Longest time in which nothing crossed the link, in milliseconds. */
  readonly longestPauseMs: number
}

/** What is done to the link in the middle of a transfer. */
export type Disturbance = Pick<LinkOptions, 'cutEvery'> & {
  /** Falls silent once so many bytes have crossed. */
  readonly silentAfter?: number
}

/** A hub that waits for an update of as many bytes as it gives out parameters. */
export class Transfers {
  readonly #hub: MortalHub
  readonly #folder: string
  readonly #size: number
  readonly #parameters: BlobReference

  /** @param size bytes of the update and of the parameters, a multiple of 4 */
  static async open(size: number): Promise<Transfers> {
    const parameters = valuesOf(size, 1)
    const hub = await MortalHub.create(tinyModel(parameters))
    await openRound(hub)
    const folder = await mkdtemp(join(tmpdir(), 'transfers-'))
    return new Transfers(hub, folder, { size, digest: digestOf(bytesOf(parameters)) })
  }

  private constructor(hub: MortalHub, folder: string, parameters: BlobReference) {
    this.#hub = hub
    this.#folder = folder
    this.#size = parameters.size
    this.#parameters = parameters
  }

  async close(): Promise<void> {
    await this.#hub.remove()
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Sends an update: one of other bytes for each `round` of calls, as a hub takes one of a node. */
  async up(disturbance: Disturbance): Promise<Outcome> {
    const bytes = bytesOf(valuesOf(this.#size, 2))
    const path = join(this.#folder, 'update')
    await writeFile(path, bytes)
    const digest = digestOf(bytes)
    const facts = { samples: 10, steps: 10, loss: 0.5, parameters: this.#parameters.digest }
    const update = {
      campaign: CAMPAIGN,
      round: 1,
      participant: NODE,
      path,
      size: this.#size,
      digest,
      ...facts,
    }
    return await this.#over('up', disturbance, async (http, signal) => {
      const outcome = await uploadUpdate(update, { http, signal, random: () => 0.5 })
      // The hub compares the digest of what has arrived before it accepts.
      return outcome.kind === 'accepted'
    })
  }

  async down(disturbance: Disturbance): Promise<Outcome> {
    return await this.#over('down', disturbance, async (http, signal) => {
      const folder = await mkdtemp(join(this.#folder, 'blobs-'))
      const path = await downloadBlob(this.#parameters, folder, { http, signal, random: () => 0.5 })
      return digestOf(await readFile(path)) === this.#parameters.digest
    })
  }

  async #over(
    direction: Direction,
    { cutEvery, silentAfter }: Disturbance,
    work: (http: HubHttp, signal: AbortSignal) => Promise<boolean>,
  ): Promise<Outcome> {
    const { port, authority } = this.#hub.endpoint
    const bytesPerSecond = LINK_BYTES_PER_SECOND
    const link = await Link.open({ port, bytesPerSecond, ...(cutEvery && { cutEvery }) })
    const readToken = async (): Promise<string> => Promise.resolve(podToken(NODE))
    const http = new HubHttp({ host: '127.0.0.1', port: link.port, authority, readToken })
    const watch = new Watch(link, direction, silentAfter)
    try {
      const intact = await work(http, AbortSignal.timeout(LIMIT_MS))
      const { cuts, crossed } = link
      const longestPauseMs = watch.longestPauseMs
      return { size: this.#size, crossed: crossed[direction], cuts, intact, longestPauseMs }
    } finally {
      watch.stop()
      http.destroy()
      link.close()
    }
  }
}

/** Looks at a link again and again: how long nothing crossed it, and whether it is time to silence it. */
class Watch {
  longestPauseMs = 0
  readonly #timer: NodeJS.Timeout

  constructor(link: Link, direction: Direction, silentAfter = Infinity) {
    let [crossed, since, silenced] = [0, performance.now(), false]
    this.#timer = setInterval(() => {
      const now = performance.now()
      if (link.crossed[direction] !== crossed) {
        crossed = link.crossed[direction]
        since = now
      }
      this.longestPauseMs = Math.max(this.longestPauseMs, now - since)
      if (silenced || crossed < silentAfter) return
      silenced = true
      link.silence()
    }, 5)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

async function openRound(hub: MortalHub): Promise<void> {
  const clients = clientsOf(hub.endpoint)
  const { control } = clients
  const { round: planned } = campaignPlan()
  if (!planned) throw new Error('the plan of the tests opens no round')
  const round = { ...planned, deadlineSeconds: 3600 }
  await call(control.applyModel.bind(control) as never, modelPlan(), operatorToken)
  await call(control.applyCampaign.bind(control) as never, campaignPlan({ round }), operatorToken)
  await until(async () => {
    const get = control.getCampaign.bind(control) as never
    const state: CampaignState = await call(get, { uid: CAMPAIGN }, operatorToken)
    return state.current?.round === 1
  })
  clients.close()
}

/** Finite values that no codec of the way could shorten. */
function valuesOf(size: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size / Float32Array.BYTES_PER_ELEMENT)
  let state = seed
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    values[i] = state / 2 ** 32 - 0.5
  }
  return values
}

function bytesOf({ buffer, byteLength }: Float32Array<ArrayBuffer>): Uint8Array {
  return new Uint8Array(buffer, 0, byteLength)
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
