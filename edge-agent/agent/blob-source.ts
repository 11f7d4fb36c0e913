// Where the bytes of published models come from: first from the edge controller that the hub names, so that a model crosses the
// uplink of a zone once, and from the hub when that has not brought them within a bounded time. Whoever brings them, they have
// the announced size and digest or are not taken. What has arrived is not fetched again.
import type { Logger } from 'pino'

import { type BlobReference, DownloadRefused, downloadBlob } from '#federation/wire/download.ts'
import { type HubEndpoint, controllerEndpoint } from '#federation/wire/endpoint.ts'
import type { Parent } from '#federation/wire/generated/tributary.ts'
import type { HubHttp } from '#federation/wire/http.ts'

/** A pass over the models comes again: a single download need not be patient. */
const FRUITLESS_ATTEMPTS = 3
/**
 * How long a mirror may take for a blob: it may have to fetch it first, over a link of which it may take but a share. Whoever is less
 * patient has the zone's uplink carry the blob a second time.
 */
export const MIRROR_PATIENCE: MirrorPatience = {
  baseMs: 60_000,
  bytesPerSecond: 16 * 1024,
  pauseMs: 120_000,
}
/** Attempts in a row that bring no byte, with pauses that add up to less than what `baseMs` leaves room for. */
const MIRROR_ATTEMPTS = 6

export interface MirrorPatience {
  readonly baseMs: number
  /** What it must bring beyond that. */
  readonly bytesPerSecond: number
  /** How long a mirror that failed is not asked again. */
  readonly pauseMs: number
}

export interface BlobSourceOptions {
  readonly hub: HubEndpoint
  readonly connect: (endpoint: HubEndpoint) => HubHttp
  readonly folder: string
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number
  readonly patience?: MirrorPatience
}

interface Mirror {
  readonly name: string
  readonly http: HubHttp
  notBeforeMs: number
}

/** The caller destroys it. */
export class BlobSource {
  readonly #options: BlobSourceOptions
  readonly #hub: HubHttp
  #mirror: Mirror | undefined

  constructor(options: BlobSourceOptions) {
    this.#options = options
    this.#hub = options.connect(options.hub)
  }

  /** One download at a time. @returns the path of the verified file */
  async fetch(blob: BlobReference, mirror: Parent | undefined, signal: AbortSignal): Promise<string> {
    const near = mirror && this.#connectTo(mirror)
    if (near && near.notBeforeMs <= this.#options.now()) {
      const path = await this.#fetchNear(blob, near, signal)
      if (path !== undefined) return path
    }
    const { folder, random, log } = this.#options
    return await downloadBlob(blob, folder, {
      ...{ http: this.#hub, signal, random, maximumFruitlessAttempts: FRUITLESS_ATTEMPTS },
      onRetry: (error, waitMs) => log.warn({ error: error.message, waitMs }, 'fetching a blob: trying again'),
    })
  }

  destroy(): void {
    this.#hub.destroy()
    this.#mirror?.http.destroy()
  }

  /** Undefined when the hub must be asked. */
  async #fetchNear(blob: BlobReference, near: Mirror, signal: AbortSignal): Promise<string | undefined> {
    const { folder, random, log, now, patience = MIRROR_PATIENCE } = this.#options
    const { baseMs, bytesPerSecond, pauseMs } = patience
    const patient = AbortSignal.timeout(Math.ceil(baseMs + (blob.size / bytesPerSecond) * 1000))
    try {
      return await downloadBlob(blob, folder, {
        ...{ http: near.http, signal: AbortSignal.any([signal, patient]), random },
        maximumFruitlessAttempts: MIRROR_ATTEMPTS,
      })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof DownloadRefused && error.reason === 'DiskUnusable') throw error
      near.notBeforeMs = now() + pauseMs
      const why = error instanceof Error ? error.message : String(error)
      log.warn(
        { digest: blob.digest, error: why },
        'fetching from the hub what the edge controller did not bring',
      )
      return undefined
    }
  }

  /** Undefined when what was introduced cannot be an edge controller. */
  #connectTo(parent: Parent): Mirror | undefined {
    const { hub, connect, log } = this.#options
    const name = JSON.stringify([parent.address, parent.certificate])
    if (this.#mirror?.name === name) return this.#mirror
    try {
      const http = connect(controllerEndpoint(parent, hub.readToken))
      this.#mirror?.http.destroy()
      this.#mirror = { name, http, notBeforeMs: 0 }
      return this.#mirror
    } catch (error) {
      log.error(
        { tier: parent.tier, error: String(error) },
        'an edge controller was named that cannot be one',
      )
      return undefined
    }
  }
}
