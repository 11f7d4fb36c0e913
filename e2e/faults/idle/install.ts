// The whole install without a cluster around it: the chart's objects on an API server that stands alone, the operator and
// the hub as the processes that they are in their pods, with those pods' accounts and rights, and no controllers beside.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { helm, NAMESPACE } from '#charts/testing/helm.ts'
import { CHART } from '#charts/testing/helm.ts'
import type { Kubectl } from '#crds/testing/cluster.ts'
import type { ApiServer } from '#e2e/cluster/api-server.ts'
import { freePorts } from '#e2e/cluster/free-ports.ts'
import { waitFor } from '#e2e/cluster/wait.ts'
import { HUB_TLS_SECRET, SIGNING_SECRET } from '#operator/bootstrap/trust.ts'

export interface Install {
  /** Kills the operator without warning and starts another. */
  restartOperator(): Promise<void>
  /** What has ended that should not have. */
  ended(): string[]
  stop(): Promise<void>
}

const ENTRY = join(import.meta.dirname, '../../../operator/main.ts')
const ACCOUNTS = `system:serviceaccount:${NAMESPACE}`

export async function startInstall(server: ApiServer, kubectl: Kubectl): Promise<Install> {
  const [hubPort = 0, hubHealth = 0, operatorHealth = 0] = await freePorts(3)
  const address = `127.0.0.1:${String(hubPort)}`
  await kubectl(['create', 'namespace', NAMESPACE])
  await helm(
    [
      ...['upgrade', '--install', 'tributary', CHART, `--namespace=${NAMESPACE}`],
      `--kubeconfig=${server.kubeconfig}`,
    ],
    { hub: { address } },
  )
  const account = async (name: string): Promise<string> =>
    server.kubeconfigFor(`${ACCOUNTS}:${name}`, [
      'system:serviceaccounts',
      `${ACCOUNTS}s`,
      'system:authenticated',
    ])
  const token = await kubectl([
    ...['create', 'token', 'tributary-operator', `--namespace=${NAMESPACE}`],
    ...['--audience=tributary-hub', '--duration=2h'],
  ])
  const file = (name: string): string => join(server.folder, name)
  writeFileSync(file('token'), token.trim())
  const shared = { POD_NAMESPACE: NAMESPACE, TRIBUTARY_LOG_LEVEL: 'warn', PATH: '/usr/bin:/bin' }
  const operatorEnvironment = {
    ...{ ...shared, POD_NAME: 'operator-0', KUBECONFIG: await account('tributary-operator') },
    ...{ TRIBUTARY_HUB_ADDRESS: address, TRIBUTARY_TOKEN_FILE: file('token') },
    ...{ TRIBUTARY_EDGE_AGENT_IMAGE: 'tributary/edge-agent:idle' },
    TRIBUTARY_HEALTH_PORT: String(operatorHealth),
  }
  let operator = start('operator', operatorEnvironment)
  const folders = { tls: HUB_TLS_SECRET, signing: SIGNING_SECRET }
  for (const [folder, secret] of Object.entries(folders)) {
    mkdirSync(file(folder), { mode: 0o700 })
    for (const [name, content] of Object.entries(await secretOf(kubectl, secret)))
      writeFileSync(join(file(folder), name), Buffer.from(content, 'base64'), { mode: 0o600 })
  }
  const hub = start('hub', {
    ...{ ...shared, KUBECONFIG: await account('tributary-hub'), TRIBUTARY_LISTEN_PORT: String(hubPort) },
    ...{ TRIBUTARY_TLS_FOLDER: file('tls'), TRIBUTARY_SIGNING_FOLDER: file('signing') },
    ...{ TRIBUTARY_DATA_FOLDER: file('hub-data'), TRIBUTARY_HEALTH_PORT: String(hubHealth) },
  })
  return {
    restartOperator: async () => {
      await end(operator)
      operator = start('operator', operatorEnvironment)
    },
    ended: () =>
      Object.entries({ operator, hub })
        .filter(([, child]) => child.exitCode !== null || child.signalCode !== null)
        .map(([name]) => name),
    stop: async () => {
      await Promise.all([end(operator), end(hub)])
    },
  }
}

function start(command: string, environment: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [ENTRY, command], {
    env: environment,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** The operator makes it before anything else. */
async function secretOf(kubectl: Kubectl, name: string): Promise<Record<string, string>> {
  return waitFor({ what: `Secret ${name}`, timeoutMs: 60_000 }, async () => {
    const text = await kubectl(['get', 'secret', name, `--namespace=${NAMESPACE}`, '--output=json'])
    return (JSON.parse(text) as { data?: Record<string, string> }).data
  })
}
