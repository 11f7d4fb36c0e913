// The operator under test, one life after another. A death is what SIGKILL is to everything around the process: its
// connections break, and nothing that it still does reaches the API server or the hub. The next life starts with
// empty caches and no memory.
import type { KubeConfig } from '@kubernetes/client-node'
import type { Clock } from '#operator/kube/clock.ts'
import { createKubeClient } from '#operator/kube/client.ts'
import type { Leadership } from '#operator/kube/lease.ts'
import { createHarness } from '#operator/kube/testing/harness.ts'
import { lead, startCaches } from '#operator/run-operator.ts'
import type { OperatorOptions } from '#operator/run-operator.ts'
import type { HubPort } from './hub-port.ts'

export interface OperatorsOptions {
  /** Leads through the fault proxy. */
  kubeConfig: KubeConfig
  port: () => HubPort
  /** Breaks every open connection of the operator. */
  cut: () => void
  clock: Clock
  /** For one request to the API server. */
  requestTimeoutMs: number
}

interface Life {
  kill: () => void
  /** Resolves when nothing of it runs any more. */
  over: () => Promise<void>
}

/** A container is not back at once; this leaves what the dead one sent the time to arrive. */
const RESTART_AFTER_MS = 30

export class Operators {
  readonly #options: OperatorsOptions
  readonly #lives: Life[] = []
  #restart: NodeJS.Timeout | undefined
  #stopped = false
  /** What operators logged as errors, newest last. */
  readonly troubles: string[] = []

  constructor(options: OperatorsOptions) {
    this.#options = options
  }

  start(): void {
    this.#lives.push(this.#live())
  }

  /** The operator dies now and is started again. */
  crash(): void {
    // A last request may meet its fault when the plan is over: nobody would end another life.
    if (this.#stopped) return
    this.#lives.at(-1)?.kill()
    this.#options.cut()
    clearTimeout(this.#restart)
    this.#restart = setTimeout(() => {
      this.start()
    }, RESTART_AFTER_MS)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#restart)
    this.#lives.at(-1)?.kill()
    await Promise.all(this.#lives.map((life) => life.over()))
  }

  #live(): Life {
    const { kubeConfig, clock, requestTimeoutMs } = this.#options
    const harness = createHarness(clock)
    const hub = this.#options.port()
    const client = createKubeClient(kubeConfig, { metrics: harness.metrics, timeoutMs: requestTimeoutMs })
    const log = { ...harness.log, error: this.#note }
    const options: OperatorOptions = {
      ...harness,
      ...{ client, hub, log, instance: 'operator', podSettings: POD_SETTINGS },
    }
    const ended = new AbortController()
    const leadership: Leadership = {
      signal: ended.signal,
      assertHeld: () => {
        ended.signal.throwIfAborted()
      },
    }
    const watches = startCaches(options)
    const leading = lead(options, watches.caches, leadership)
    // One that dies before its caches are filled never leads.
    const led = leading.catch((error: unknown) => {
      if (!ended.signal.aborted) this.#note({ err: error }, 'the operator did not start')
      return undefined
    })
    let stopped: Promise<void> = Promise.resolve()
    return {
      kill: () => {
        ended.abort(new Error('killed'))
        hub.die()
        stopped = watches.stop()
      },
      over: async () => {
        await led.then((running) => running?.stop())
        await stopped
        client.close()
      },
    }
  }

  readonly #note = (fields: object, message: string): void => {
    const { key = '', err } = fields as { key?: string; err?: unknown }
    this.troubles.push(`${message} ${key} ${err instanceof Error ? err.message : ''}`)
    if (this.troubles.length > 20) this.troubles.shift()
  }
}

const POD_SETTINGS = {
  image: 'tributary/edge-agent:test',
  imagePullPolicy: 'Never' as const,
  hubAddress: '192.0.2.1:30843',
  hubCertificateAuthority: 'PEM',
  campaignsFolder: '/var/lib/tributary/campaigns',
}
