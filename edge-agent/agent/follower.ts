// Follows what the hub wants on this node: one stream for ever, the newest wish wins, a pass that fell short is tried
// again with back-off, and every change is reported at once, at the latest every 20 s.
import type { Logger } from 'pino'

import { Backoff, sleep } from '#federation/wire/backoff.ts'
import { createHubClient } from '#federation/wire/channel.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import {
  type AgentReport,
  type DesiredModel,
  type DesiredModels,
  DistributionClient,
} from '#federation/wire/generated/tributary.ts'
import { keepStreamOpen } from '#federation/wire/stream.ts'

import type { Catalogue } from './catalogue.ts'
import type { WantedModel } from './installer.ts'
import { isObjectName } from './model-store.ts'

const REPORT_INTERVAL_MS = 20_000
const RETRY_BACKOFF = { initialMs: 2_000, maximumMs: 300_000 }

export interface FollowerOptions {
  readonly hub: HubEndpoint
  readonly catalogue: Catalogue
  /** One pass; resolves with whether everything wanted is loaded, rejects with the signal's reason. */
  readonly install: (wanted: readonly WantedModel[], signal: AbortSignal) => Promise<boolean>
  readonly softwareVersion: string
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly signal: AbortSignal
}

export class Follower {
  readonly #options: FollowerOptions
  #send: (report: AgentReport) => void = () => {}
  #current: AbortController | undefined
  #passes: Promise<void> = Promise.resolve()

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  /** Rejects with the signal's reason, and never otherwise. */
  async run(): Promise<never> {
    const { hub, log, random, signal } = this.#options
    const reporting = setInterval(() => this.#report(), REPORT_INTERVAL_MS)
    try {
      return await keepStreamOpen<AgentReport, DesiredModels>({
        open: () => {
          const client = createHubClient(DistributionClient, hub)
          return { call: client.follow(), close: () => client.close() }
        },
        onOpen: (send) => {
          this.#send = send
          this.#report()
        },
        onMessage: ({ models }) => this.#want(models),
        onRetry: (error, waitMs) =>
          log.warn({ error: error.message, waitMs }, 'stream to the hub: trying again'),
        random,
        signal,
      })
    } finally {
      clearInterval(reporting)
      this.#current?.abort(signal.reason)
      await this.#passes
    }
  }

  #report(): void {
    const { softwareVersion, catalogue } = this.#options
    this.#send({ softwareVersion, models: catalogue.report() })
  }

  /** A newer wish ends the passes of the one before. */
  #want(models: readonly DesiredModel[]): void {
    this.#current?.abort(new Error('the hub wants something newer'))
    const current = new AbortController()
    this.#current = current
    const { log } = this.#options
    const wanted = models.flatMap((model) => asWanted(model, log))
    log.info(
      { models: wanted.map(({ namespace, name, version }) => `${namespace}/${name} ${version}`) },
      'wanted',
    )
    this.#passes = this.#passes.then(async () => {
      await this.#until(wanted, AbortSignal.any([current.signal, this.#options.signal]))
    })
  }

  /** Resolves once everything wanted is loaded, or the signal is aborted. */
  async #until(wanted: readonly WantedModel[], signal: AbortSignal): Promise<void> {
    const { install, log, random } = this.#options
    const backoff = new Backoff(random, RETRY_BACKOFF)
    for (;;) {
      const complete = await install(wanted, signal).catch((error: unknown) => {
        if (!signal.aborted) log.error({ error: String(error) }, 'installing models failed')
        return false
      })
      this.#report()
      if (complete || signal.aborted) return
      await sleep(backoff.next(), signal).catch(() => {})
    }
  }
}

/** A model whose name could not be a folder's is left out; one without a manifest is refused when it is fetched. */
function asWanted({ namespace, name, version, manifest, mirror }: DesiredModel, log: Logger): WantedModel[] {
  if (isObjectName(namespace) && isObjectName(name)) {
    return [{ namespace, name, version, manifest: manifest ?? { digest: '', size: 0 }, mirror }]
  }
  log.error({ namespace, name }, 'the hub wants a model whose name is not a Kubernetes object name')
  return []
}
