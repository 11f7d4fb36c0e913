// The operator's side of the Control service. Calls have a deadline; "the hub does not answer" is a value for
// observers and an exception for actions. The change stream is taken up again for ever: it only says where to look.
import { Metadata, status as Code } from '@grpc/grpc-js'
import type { ClientUnaryCall, ServiceError } from '@grpc/grpc-js'
import { Backoff } from '#federation/wire/backoff.ts'
import { createHubClient } from '#federation/wire/channel.ts'
import type { HubEndpoint } from '#federation/wire/endpoint.ts'
import { ControlClient } from '#federation/wire/generated/tributary.ts'
import type {
  CampaignPlan,
  CampaignState,
  Change,
  ModelPlan,
  ModelState,
  ModelVersion,
  PublishRequest,
} from '#federation/wire/generated/tributary.ts'

export interface HubClient {
  applyModel(plan: ModelPlan): Promise<ModelState>
  getModel(uid: string): Promise<ModelState>
  deleteModel(uid: string): Promise<void>
  applyCampaign(plan: CampaignPlan): Promise<CampaignState>
  getCampaign(uid: string): Promise<CampaignState>
  deleteCampaign(uid: string): Promise<void>
  publishVersion(request: PublishRequest): Promise<ModelVersion>
  /** Reports changes until the signal aborts; a broken stream is opened again with back-off. */
  watch(onChange: (change: Change) => void, signal: AbortSignal): Promise<void>
  close(): void
}

export interface HubClientOptions {
  endpoint: HubEndpoint
  /** Uniform in [0, 1). */
  random: () => number
  onTrouble: (message: string) => void
  /** For one call. Default 10 s. */
  timeoutMs?: number
}

type Callback<Response> = (error: ServiceError | null, response: Response) => void

type Send<Response> = (
  metadata: Metadata,
  options: { deadline: number },
  callback: Callback<Response>,
) => ClientUnaryCall

export function createControlClient(options: HubClientOptions, now: () => number): HubClient {
  const client = createHubClient(ControlClient, options.endpoint)
  const timeoutMs = options.timeoutMs ?? 10_000
  const call = <Response>(send: Send<Response>): Promise<Response> =>
    new Promise((resolve, reject) => {
      send(new Metadata(), { deadline: now() + timeoutMs }, (error, response) => {
        if (error) reject(new TierError(error))
        else resolve(response)
      })
    })
  return {
    applyModel: (plan) => call((...rest) => client.applyModel(plan, ...rest)),
    getModel: (uid) => call((...rest) => client.getModel({ uid }, ...rest)),
    deleteModel: async (uid) => {
      await call((...rest) => client.deleteModel({ uid }, ...rest))
    },
    applyCampaign: (plan) => call((...rest) => client.applyCampaign(plan, ...rest)),
    getCampaign: (uid) => call((...rest) => client.getCampaign({ uid }, ...rest)),
    deleteCampaign: async (uid) => {
      await call((...rest) => client.deleteCampaign({ uid }, ...rest))
    },
    publishVersion: (request) => call((...rest) => client.publishVersion(request, ...rest)),
    watch: (onChange, signal) => watchForEver(client, { onChange, signal, options }),
    close: () => {
      client.close()
    },
  }
}

/** A call that the hub did not answer, or answered with an error. */
export class TierError extends Error {
  override readonly name = 'TierError'
  readonly code: Code

  constructor(error: ServiceError) {
    super(`${Code[error.code]}: ${error.details}`)
    this.code = error.code
  }
}

interface WatchContext {
  onChange: (change: Change) => void
  signal: AbortSignal
  options: HubClientOptions
}

async function watchForEver(
  client: ControlClient,
  { onChange, signal, options }: WatchContext,
): Promise<void> {
  const backoff = new Backoff(options.random)
  const heard = (change: Change): void => {
    backoff.reset()
    onChange(change)
  }
  const over = (): boolean => signal.aborted
  while (!over()) {
    const trouble = await watchOnce(client, heard, signal)
    if (over()) return
    options.onTrouble(trouble)
    await backoff.wait(signal).catch(() => undefined)
  }
}

/** Resolves with the reason when the stream has ended, which is never what anybody wanted. */
function watchOnce(
  client: ControlClient,
  onChange: (change: Change) => void,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve) => {
    const stream = client.watch({})
    const cancel = (): void => {
      stream.cancel()
    }
    const end = (reason: string): void => {
      signal.removeEventListener('abort', cancel)
      resolve(reason)
    }
    signal.addEventListener('abort', cancel, { once: true })
    stream.on('data', onChange)
    stream.on('error', (error: Error) => {
      end(error.message)
    })
    stream.on('end', () => {
      end('the hub ended the stream')
    })
  })
}
