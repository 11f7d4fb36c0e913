// Brings the hub up with its real parts: keys from mounted Secrets, TokenReview and ConfigMaps from the API server,
// the compiler in a thread of its own.
import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger as Pino } from 'pino'
import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { TOKEN_AUDIENCE } from '#federation/wire/names.ts'
import { startModelCompiler } from './hub/compiler-worker.ts'
import { runHub } from './hub/hub.ts'
import { modelSource } from './hub/model-source.ts'
import type { ReviewedIdentity } from '#federation/tier/serving/identity.ts'
import type { RunningHub } from './hub/options.ts'
import { createKubeClient } from './kube/client.ts'
import type { KubeClient, TokenReviewStatus } from './kube/api.ts'
import { loadKubeConfig } from './kube/kube-config.ts'
import { createKubeMetrics } from './kube/metrics.ts'
import { configMaps } from './kube/resources.ts'
import type { HubEnvironment } from './settings.ts'
import type { Process } from './start-operator.ts'

export interface HubProcess {
  log: Pino
  /** Module that compiler threads start from. */
  threadEntry: URL
}

export async function startHub(
  environment: HubEnvironment,
  process: Process & HubProcess,
): Promise<RunningHub> {
  const { registry, log, clock } = process
  const client = createKubeClient(loadKubeConfig(environment.KUBECONFIG), {
    metrics: createKubeMetrics(registry),
    userAgent: 'tributary-hub',
  })
  const file = (folder: string, name: string): Promise<string> => readFile(join(folder, name), 'utf8')
  const { kernels, native, description } = loadKernels()
  if (native) log.info({ kernels: description }, 'merging kernels')
  else log.warn({ kernels: description }, 'merging is slower: the compiled kernels cannot be loaded')
  const account = (name: string): string => `system:serviceaccount:${environment.POD_NAMESPACE}:${name}`
  return runHub({
    directory: environment.TRIBUTARY_DATA_FOLDER,
    tls: {
      key: await file(environment.TRIBUTARY_TLS_FOLDER, 'tls.key'),
      certificate: await file(environment.TRIBUTARY_TLS_FOLDER, 'tls.crt'),
    },
    signingKey: createPrivateKey(await file(environment.TRIBUTARY_SIGNING_FOLDER, 'signing.key')),
    reviewToken: async (token) => identityOf(await client.reviewToken(token, [TOKEN_AUDIENCE])),
    tokenKeys: async () => {
      const { issuer, keySet } = await client.tokenIssuer()
      return { issuer, keySet: JSON.stringify(keySet) }
    },
    operatorUsername: account(environment.TRIBUTARY_OPERATOR_SERVICE_ACCOUNT),
    agentUsername: account(environment.TRIBUTARY_AGENT_SERVICE_ACCOUNT),
    modelSource: modelSource({
      readConfigMap: (...names) => readConfigMap(client, ...names),
      fetch: globalThis.fetch,
    }),
    compiler: startModelCompiler({ entry: process.threadEntry }),
    kernels,
    clock,
    logger: log,
    registry,
    port: environment.TRIBUTARY_LISTEN_PORT,
    healthPort: environment.TRIBUTARY_HEALTH_PORT,
  })
}

async function readConfigMap(
  client: KubeClient,
  namespace: string,
  name: string,
  key: string,
): Promise<Uint8Array | undefined> {
  const found = await client.get(configMaps, { namespace, name })
  const binary = found?.binaryData?.[key]
  if (binary !== undefined) return Buffer.from(binary, 'base64')
  const text = found?.data?.[key]
  return text === undefined ? undefined : Buffer.from(text, 'utf8')
}

/** Only what the API server vouches for, for our audience: a token for another audience is nobody's. */
export function identityOf(review: TokenReviewStatus): ReviewedIdentity | undefined {
  const username = review.user?.username ?? ''
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username)
  if (!review.authenticated || !review.audiences?.includes(TOKEN_AUDIENCE) || !account?.[1] || !account[2])
    return undefined
  const claim = (name: string): string | undefined =>
    review.user?.extra?.[`authentication.kubernetes.io/${name}`]?.[0]
  return {
    username,
    namespace: account[1],
    serviceAccount: account[2],
    podName: claim('pod-name'),
    podUid: claim('pod-uid'),
    nodeName: claim('node-name'),
  }
}
