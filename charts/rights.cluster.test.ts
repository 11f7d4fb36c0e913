// The operator's program under the rights that the chart gives it, on a real API server: what it makes and owns at its
// first start, and that the API server never answers it with "forbidden".
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApiServer, type ApiServer } from '#e2e/cluster/api-server.ts'
import { waitFor } from '#e2e/cluster/wait.ts'
import { kubectlOf, refusalOf, type Kubectl } from '#crds/testing/cluster.ts'
import { minimalModel, minimalProfile, minimalRound } from '#crds/testing/manifests.ts'
import { createHarness } from '#operator/kube/testing/harness.ts'
import { operatorEnvironment } from '#operator/settings.ts'
import { startOperator, type RunningOperator } from '#operator/start-operator.ts'
import { ADDRESS, CHART, environmentOf, helm, NAMESPACE, podOf, rendered } from './testing/helm.ts'

const ACCOUNT = `system:serviceaccount:${NAMESPACE}:tributary-operator`

interface Owned {
  metadata: { name: string; ownerReferences?: { kind: string; name: string; uid: string }[] }
  data: Record<string, string>
}

interface AuditEntry {
  user: { username: string }
  verb: string
  requestURI: string
  responseStatus?: { code: number }
}

describe('the operator under the rights of the chart', { timeout: 120_000 }, () => {
  let server: ApiServer
  let kubectl: Kubectl
  let operator: RunningOperator | undefined

  beforeAll(async () => {
    server = await startApiServer()
    kubectl = kubectlOf(server)
    const target = [`--namespace=${NAMESPACE}`, '--create-namespace', `--kubeconfig=${server.kubeconfig}`]
    await helm(['install', 'tributary', CHART, ...target], { hub: { address: ADDRESS } })
    const provided = { POD_NAME: 'tributary-operator-0', POD_NAMESPACE: NAMESPACE }
    const environment = operatorEnvironment({
      ...environmentOf(podOf(await rendered(), 'operator'), provided),
      // No hub runs here: the operator must start and report without one.
      TRIBUTARY_HUB_ADDRESS: '127.0.0.1:9',
      TRIBUTARY_HEALTH_PORT: '0',
      KUBECONFIG: await server.kubeconfigFor(ACCOUNT, ['system:authenticated', 'system:serviceaccounts']),
    })
    operator = await startOperator(environment, { ...createHarness(), registry: new Registry() })
  }, 240_000)

  afterAll(async () => {
    await server.stop()
  })

  const read = async (resource: string): Promise<Owned> =>
    JSON.parse(
      await kubectl(['get', ...resource.split(' '), `--namespace=${NAMESPACE}`, '--output=json']),
    ) as Owned

  const reasonOf = (resource: string): Promise<string> =>
    kubectl([
      'get',
      ...resource.split(' '),
      '--output=jsonpath={.status.conditions[?(@.type=="Ready")].reason}',
    ])

  it('makes what the hub and the agents wait for, owned by its Deployment', async () => {
    await waitFor({ what: 'the lease', timeoutMs: 60_000 }, async () =>
      (await refusalOf(read('lease tributary-operator').then(() => ''))) === undefined ? true : undefined,
    )
    const { metadata } = (await read('deployment tributary-operator')) as { metadata: { uid?: string } }
    for (const name of [
      'secret tributary-hub-tls',
      'secret tributary-signing-key',
      'configmap tributary-trust',
      'lease tributary-operator',
    ]) {
      const owners = (await read(name)).metadata.ownerReferences
      expect([name, owners]).toEqual([
        name,
        [expect.objectContaining({ kind: 'Deployment', uid: metadata.uid })],
      ])
    }
  })

  it('shows agents the public halves and nothing else', async () => {
    const trust = (await read('configmap tributary-trust')).data
    const secret = (await read('secret tributary-signing-key')).data
    const signingKey = createPrivateKey(Buffer.from(secret['signing.key'] ?? '', 'base64').toString())
    const published = createPublicKey(signingKey).export({ type: 'spki', format: 'pem' })
    expect(trust['signing.pub']).toBe(published)
    const tls = (await read('secret tributary-hub-tls')).data
    const certificate = new X509Certificate(Buffer.from(tls['tls.crt'] ?? '', 'base64'))
    expect(certificate.verify(new X509Certificate(trust['ca.crt'] ?? '').publicKey)).toBe(true)
    expect(Object.keys(trust).sort()).toEqual(['ca.crt', 'signing.pub'])
    expect(JSON.stringify(trust)).not.toContain('PRIVATE')
  })

  it('reconciles all three kinds, and is never told that it may not', async () => {
    for (const manifest of [minimalProfile(), minimalModel(), minimalRound()]) {
      await kubectl(['apply', '--filename=-'], manifest)
    }
    for (const resource of ['devprof gateway', 'em digits', 'fr digits']) {
      await waitFor({ what: `a status of ${resource}`, timeoutMs: 60_000 }, async () =>
        (await reasonOf(resource)) === '' ? undefined : true,
      )
    }
    const requests = readFileSync(server.auditLog, 'utf8')
      .split('\n')
      .filter((line) => line.includes(ACCOUNT))
      .map((line) => JSON.parse(line) as AuditEntry)
    expect(requests.length).toBeGreaterThan(20)
    const forbidden = requests.filter(({ responseStatus }) => responseStatus?.code === 403)
    expect(forbidden.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([])
  })

  it('gives its lease back when it is told to stop', async () => {
    await operator?.stop()
    const holder = [
      'get',
      'lease',
      'tributary-operator',
      `--namespace=${NAMESPACE}`,
      '--output=jsonpath={.spec.holderIdentity}',
    ]
    expect(await kubectl(holder)).toBe('')
  })
})
