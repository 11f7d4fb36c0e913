import { afterEach, describe, expect, it } from 'vitest'
import { startHealthServer } from '#federation/tier/serving/health.ts'
import type { HealthServer } from '#federation/tier/serving/health.ts'
import { createHarness } from './testing/harness.ts'

describe('the health server', () => {
  let server: HealthServer | undefined
  let problem: string | undefined

  const ask = async (path: string, method = 'GET'): Promise<{ status: number; text: string }> => {
    const { registry, metrics } = createHarness()
    metrics.leader.set(1)
    server ??= await startHealthServer({
      port: 0,
      host: '127.0.0.1',
      registry,
      live: { loop: () => undefined },
      ready: {
        cache: () => problem,
        strict: () => {
          if (problem) throw new Error('thrown')
          return undefined
        },
      },
    })
    const response = await fetch(`http://127.0.0.1:${String(server.port)}${path}`, { method })
    return { status: response.status, text: await response.text() }
  }
  afterEach(async () => {
    await server?.close()
    server = undefined
    problem = undefined
  })

  it('is healthy and ready when every check is content', async () => {
    expect(await ask('/healthz')).toEqual({ status: 200, text: '[+] loop\nok\n' })
    expect(await ask('/readyz?verbose')).toEqual({ status: 200, text: '[+] cache\n[+] strict\nok\n' })
  })

  it('names what is not ready, and stays healthy', async () => {
    problem = 'nodes are not listed yet'
    expect(await ask('/readyz')).toEqual({
      status: 503,
      text: '[-] cache: nodes are not listed yet\n[-] strict: thrown\nfailed\n',
    })
    expect((await ask('/healthz')).status).toBe(200)
  })

  it('shows the metrics', async () => {
    expect((await ask('/metrics')).text).toContain('tributary_leader 1')
  })

  it('knows nothing else', async () => {
    expect((await ask('/')).status).toBe(404)
    expect((await ask('/healthz', 'POST')).status).toBe(405)
    expect(await ask('/healthz', 'HEAD')).toEqual({ status: 200, text: '' })
  })

  it('says that its port is taken', async () => {
    await ask('/healthz')
    const { registry } = createHarness()
    const second = startHealthServer({ port: server?.port ?? 0, host: '127.0.0.1', registry })
    await expect(second).rejects.toThrow(/EADDRINUSE/)
  })
})
