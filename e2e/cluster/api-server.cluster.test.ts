import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readFile, stat } from 'node:fs/promises'
import { startApiServer, type ApiServer } from './api-server.ts'
import { run, tryRun } from './run.ts'
import { toolPath } from './tools.ts'
import { waitFor } from './wait.ts'

describe('the API server that stands alone', { timeout: 60_000 }, () => {
  let server: ApiServer

  beforeAll(async () => {
    server = await startApiServer()
  }, 120_000)

  afterAll(async () => {
    await server.stop()
  })

  const kubectl = async (...args: string[]): Promise<string> =>
    run(toolPath('kubectl'), [`--kubeconfig=${server.kubeconfig}`, ...args])

  it('answers as a Kubernetes API server', async () => {
    const namespaces = await kubectl('get', 'namespaces', '-o=name')
    expect(namespaces).toContain('namespace/default')
  })

  it('refuses a user whom no role grants anything, and lets in one whom a role does', async () => {
    const stranger = await server.kubeconfigFor('stranger')
    const ask = run(toolPath('kubectl'), [`--kubeconfig=${stranger}`, 'get', 'configmaps'])
    await expect(ask).rejects.toThrow(/forbidden/i)
    await kubectl('create', 'role', 'reader', '--verb=list', '--resource=configmaps')
    await kubectl('create', 'rolebinding', 'reader', '--role=reader', '--user=stranger')
    await waitFor({ what: 'the role to take effect', timeoutMs: 10_000 }, () =>
      tryRun(toolPath('kubectl'), [`--kubeconfig=${stranger}`, 'get', 'configmaps']),
    )
  })

  it('issues and reviews tokens with an audience of their own', async () => {
    await kubectl('create', 'serviceaccount', 'trainer')
    const token = (await kubectl('create', 'token', 'trainer', '--audience=tributary-hub')).trim()
    const review = JSON.stringify({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: ['tributary-hub'] },
    })
    const answer = await run(
      toolPath('kubectl'),
      [`--kubeconfig=${server.kubeconfig}`, 'create', '-f-', '-o=yaml'],
      {
        input: review,
      },
    )
    expect(answer).toContain('authenticated: true')
    expect(answer).toContain('system:serviceaccount:default:trainer')
  })

  it('keeps its objects when the API server and etcd are killed and started again', async () => {
    await kubectl('create', 'configmap', 'durable')
    await server.apiServer.kill()
    expect(server.apiServer.running()).toBe(false)
    await server.apiServer.restart()
    await server.etcd.restart()
    expect(await kubectl('get', 'configmap', 'durable', '-o=name')).toBe('configmap/durable\n')
  })

  it('writes an audit line with the user agent of each request', async () => {
    await kubectl('create', 'configmap', 'audited')
    const lines = (await readFile(server.auditLog, 'utf8')).trim().split('\n')
    const created = lines.find(
      (line) => line.includes('"name":"audited"') && line.includes('"verb":"create"'),
    )
    expect(created).toContain('"userAgent":"kubectl')
  })

  it('leaves nothing when it is stopped', async () => {
    const another = await startApiServer()
    await another.stop()
    await expect(stat(another.folder)).rejects.toThrow(/ENOENT/)
    expect(another.apiServer.running() || another.etcd.running()).toBe(false)
  })
})
