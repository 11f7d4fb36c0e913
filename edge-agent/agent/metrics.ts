// What the agent counts, for Prometheus.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

import type { Catalogue } from './catalogue.ts'
import type { ModelName } from './verify.ts'

export class AgentMetrics {
  readonly #registry = new Registry()
  readonly #requests: Counter<'namespace' | 'name' | 'status'>
  readonly #seconds: Histogram<'namespace' | 'name'>

  constructor(catalogue: Catalogue) {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    this.#requests = new Counter({
      name: 'tributary_agent_inference_requests_total',
      help: 'Inference requests answered, by HTTP status.',
      labelNames: ['namespace', 'name', 'status'],
      registers,
    })
    this.#seconds = new Histogram({
      name: 'tributary_agent_inference_seconds',
      help: 'Time from the first byte of an inference request to its answer.',
      labelNames: ['namespace', 'name'],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    })
    const version = new Gauge({
      name: 'tributary_agent_model_version',
      help: 'Version of the model that is loaded and answers; 0 when none is.',
      labelNames: ['namespace', 'name'],
      registers,
      collect: () => {
        version.reset()
        for (const { namespace, name, version: loaded } of catalogue.report())
          version.set({ namespace, name }, loaded)
      },
    })
  }

  /** Call the result once with the status of the answer. */
  startInference({ namespace, name }: ModelName): (status: number) => void {
    const stop = this.#seconds.startTimer({ namespace, name })
    return (status) => {
      stop()
      this.#requests.inc({ namespace, name, status })
    }
  }

  async text(): Promise<string> {
    return await this.#registry.metrics()
  }

  get contentType(): string {
    return this.#registry.contentType
  }
}
