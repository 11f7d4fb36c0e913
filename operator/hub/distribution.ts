// The agents' streams: what each node should serve, at once and after each change; what each has loaded is reported
// back. The node is the one that the agent's token names.
import type { ServerDuplexStream } from '@grpc/grpc-js'
import type {
  AgentReport,
  DesiredModel,
  DesiredModels,
  DistributionServer,
} from '#federation/wire/generated/tributary.ts'
import { checkReport } from './agent-report.ts'
import type { FleetHold } from './fleet-hold.ts'
import {
  authorizationOf,
  endWithError,
  isCancelled,
  logUnexpected,
  messagesOf,
  type CallContext,
} from '#federation/tier/serving/grpc.ts'
import { requireNode, requireUser } from '#federation/tier/serving/identity.ts'
import type { HubMetrics } from '#federation/tier/serving/metrics.ts'
import type { Models } from './models.ts'

export interface DistributionContext extends CallContext {
  readonly models: Models
  readonly metrics: HubMetrics
  readonly agentUsername: string
  readonly agents: Agents
  readonly hold: FleetHold
}

type Call = ServerDuplexStream<AgentReport, DesiredModels>

/** The streams that are open, by node. */
export class Agents {
  readonly #streams = new Map<string, AgentStream>()

  /** Sends every agent what it should serve where that has changed. */
  refresh(): void {
    for (const stream of this.#streams.values()) stream.send()
  }

  add(node: string, stream: AgentStream): void {
    this.#streams.set(node, stream)
  }

  /** Returns false when a newer stream of the node has taken its place. */
  remove(node: string, stream: AgentStream): boolean {
    if (this.#streams.get(node) !== stream) return false
    this.#streams.delete(node)
    return true
  }
}

export function distributionService(context: DistributionContext): DistributionServer {
  return {
    follow: (call) => {
      converse(context, call).catch((error: unknown) => {
        logUnexpected(context.logger, error, call.getPath())
        endWithError(call, error)
      })
    },
  }
}

async function converse(context: DistributionContext, call: Call): Promise<void> {
  const identity = await context.identities.identify(authorizationOf(call.metadata))
  requireUser(identity, context.agentUsername)
  if (isCancelled(call)) return
  const stream = new AgentStream(context, call, requireNode(identity))
  try {
    for await (const report of messagesOf<AgentReport>(call)) await stream.receive(report)
  } catch (error) {
    if (!isCancelled(call)) throw error
  } finally {
    stream.close()
  }
  call.end()
}

class AgentStream {
  readonly #context: DistributionContext
  readonly #call: Call
  readonly #node: string
  /** The models that the agent names in its last report; undefined before the first. */
  #named: ReadonlySet<string> | undefined
  #sent = ''
  #closed = false

  constructor(context: DistributionContext, call: Call, node: string) {
    this.#context = context
    this.#call = call
    this.#node = node
    context.agents.add(node, this)
    context.metrics.streams.inc({ service: 'Distribution' })
    context.models.setConnected(node, true)
    call.once('close', () => this.close())
    this.send()
  }

  async receive(report: AgentReport): Promise<void> {
    const { models } = checkReport(report)
    await this.#context.models.report(this.#node, models)
    // A node may have begun to serve a model since its stream opened.
    this.#context.models.setConnected(this.#node, true)
    this.#named = new Set(models.map(keyOf))
    this.send()
  }

  /** Sends what the node should serve unless it is what was sent last. */
  send(): void {
    if (this.#closed || isCancelled(this.#call)) return
    const models = this.#context.models.desired(this.#node)
    if (this.#context.hold.held && !this.#keepsAll(models)) return
    const text = JSON.stringify(models)
    if (text === this.#sent) return
    this.#sent = text
    this.#call.write({ models })
  }

  /** Whether the agent would keep every model that it has. */
  #keepsAll(models: readonly DesiredModel[]): boolean {
    const wanted = new Set(models.map(keyOf))
    return this.#named !== undefined && [...this.#named].every((model) => wanted.has(model))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#context.metrics.streams.dec({ service: 'Distribution' })
    if (this.#context.agents.remove(this.#node, this)) this.#context.models.setConnected(this.#node, false)
  }
}

/** A slash is in neither part. */
function keyOf({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`
}
