import { describe, expect, it } from 'vitest'
import { modelSource, type ModelSourceOptions, type SourceRequest } from './model-source.ts'

const DIGEST = `sha256:${'0'.repeat(64)}`

function request(changes: Partial<SourceRequest> = {}): SourceRequest {
  const { signal } = new AbortController()
  return { storageUri: 'configmap://model/model.onnx', namespace: 'city', digest: '', signal, ...changes }
}

async function load(
  changes: Partial<SourceRequest>,
  options: Partial<ModelSourceOptions> = {},
): Promise<Uint8Array> {
  const source = modelSource({
    readConfigMap: async (namespace, name, key) =>
      Promise.resolve(name === 'model' ? Buffer.from(`${namespace}/${name}/${key}`) : undefined),
    fetch: async () => Promise.resolve(new Response('model bytes')),
    ...options,
  })
  return source.load(request(changes))
}

const https = { storageUri: 'https://models.example/traffic.onnx', digest: DIGEST }

describe('a model source', () => {
  it("reads a ConfigMap of the model's own namespace", async () => {
    expect(Buffer.from(await load({})).toString()).toBe('city/model/model.onnx')
  })

  it('reads https, following no redirect', async () => {
    let seen: RequestInit | undefined
    const fetch: typeof globalThis.fetch = async (_url, init) => {
      seen = init
      return Promise.resolve(new Response('model bytes'))
    }
    expect(Buffer.from(await load(https, { fetch })).toString()).toBe('model bytes')
    expect(seen?.redirect).toBe('error')
  })

  it.each([
    { name: 'http', change: { storageUri: 'http://models.example/x' }, reason: 'StorageUriUnsupported' },
    { name: 'a file', change: { storageUri: 'file:///etc/passwd' }, reason: 'StorageUriUnsupported' },
    {
      name: 'a path in a ConfigMap',
      change: { storageUri: 'configmap://a/b/c' },
      reason: 'StorageUriUnsupported',
    },
    { name: 'https without a digest', change: { ...https, digest: '' }, reason: 'DigestMissing' },
  ])('refuses $name for good', async ({ change, reason }) => {
    await expect(load(change)).rejects.toMatchObject({ name: 'ModelRefused', reason })
  })

  it('refuses a file that is too large while it arrives', async () => {
    await expect(load(https, { maximumBytes: 5 })).rejects.toMatchObject({ reason: 'ModelTooLarge' })
  })

  it.each([
    {
      name: 'a missing ConfigMap',
      change: { storageUri: 'configmap://other/key' },
      reason: 'ConfigMapMissing',
    },
    {
      name: 'an API server that is away',
      change: {},
      options: { readConfigMap: async () => Promise.reject(new Error('away')) },
      reason: 'ConfigMapUnreadable',
    },
    {
      name: 'a server that answers 503',
      change: https,
      options: { fetch: async () => Promise.resolve(new Response('', { status: 503 })) },
      reason: 'DownloadFailed',
    },
  ])('calls $name unreachable, to be tried again', async ({ change, options, reason }) => {
    await expect(load(change, options)).rejects.toMatchObject({ name: 'SourceUnreachable', reason })
  })

  it('gives up a download that takes too long', async () => {
    const fetch: typeof globalThis.fetch = async (_url, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(new Error('timed out')))
      })
    await expect(load(https, { fetch, timeoutMs: 5 })).rejects.toMatchObject({ reason: 'DownloadFailed' })
  })
})
