// gRPC clients of the hub or an edge controller: TLS with what its endpoint trusts and nothing else, the endpoint's fixed server
// name whatever address is dialled, and the bearer token of this moment on every call. The connection is kept alive only while a call is open, so an
// idle client costs a metered link nothing.
import { type ChannelCredentials, type ClientOptions, Metadata, credentials } from '@grpc/grpc-js'

import { RECONNECT_BACKOFF } from './backoff.ts'
import { type HubEndpoint, formatHubAddress, serverIdentity } from './endpoint.ts'
import { MAXIMUM_MESSAGE_BYTES } from './names.ts'

type ClientConstructor<Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options: Partial<ClientOptions>,
) => Client

/** How often the hub is asked for a sign of life while a call is open, and how long that may take. */
export interface Keepalive {
  readonly timeMs: number
  readonly timeoutMs: number
}

/** A connection that died without a word is given up within their sum. */
export const KEEPALIVE: Keepalive = { timeMs: 20_000, timeoutMs: 8_000 }

/** @param Client a generated client, such as ParticipationClient. The caller closes what it gets. */
export function createHubClient<Client>(
  Client: ClientConstructor<Client>,
  hub: HubEndpoint,
  { timeMs, timeoutMs }: Keepalive = KEEPALIVE,
): Client {
  const { ca, servername, checkServerIdentity } = serverIdentity(hub)
  const transport = credentials.createSsl(Buffer.from(ca), null, null, { checkServerIdentity })
  return new Client(formatHubAddress(hub), withToken(transport, hub), {
    ...CHANNEL_OPTIONS,
    'grpc.ssl_target_name_override': servername,
    'grpc.default_authority': servername,
    'grpc.keepalive_time_ms': timeMs,
    'grpc.keepalive_timeout_ms': timeoutMs,
  })
}

const CHANNEL_OPTIONS: ClientOptions = {
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.max_receive_message_length': MAXIMUM_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAXIMUM_MESSAGE_BYTES,
  'grpc.initial_reconnect_backoff_ms': RECONNECT_BACKOFF.initialMs,
  'grpc.max_reconnect_backoff_ms': RECONNECT_BACKOFF.maximumMs,
  // A new client is a new connection: how often to try is its owner's decision alone.
  'grpc.use_local_subchannel_pool': 1,
  // Bytes travel outside of gRPC and know no proxy, so the calls take none from the environment either.
  'grpc.enable_http_proxy': 0,
}

function withToken(transport: ChannelCredentials, hub: HubEndpoint): ChannelCredentials {
  const bearer = credentials.createFromMetadataGenerator((_call, callback) => {
    hub.readToken().then(
      (token) => {
        const metadata = new Metadata()
        metadata.set('authorization', `Bearer ${token}`)
        callback(null, metadata)
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(String(error)))
      },
    )
  })
  return credentials.combineChannelCredentials(transport, bearer)
}
