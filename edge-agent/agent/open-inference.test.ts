// The protocol's endpoints over real sessions, without a socket.
import type { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { publish } from '../testing/published.ts'
import { Catalogue } from './catalogue.ts'
import { AgentMetrics } from './metrics.ts'
import { InferenceError, ModelThread } from './model-thread.ts'
import { openInference } from './open-inference.ts'
import { ModelRefused } from './refusals.ts'

const LIMIT = 100_000

let catalogue: Catalogue
let metrics: AgentMetrics
let app: Hono
let started: boolean

async function serve(namespace: string, name: string, version: number): Promise<void> {
  const { manifest, model } = publish({ namespace, name, version })
  const thread = await ModelThread.load(new URL('./thread.ts', import.meta.url), model)
  catalogue.serve({ manifest, manifestDigest: '', thread })
}

beforeAll(async () => {
  catalogue = new Catalogue()
  metrics = new AgentMetrics(catalogue)
  started = true
  const options = {
    catalogue,
    metrics,
    softwareVersion: '1.2.3',
    started: () => started,
    maximumBodyBytes: LIMIT,
  }
  app = openInference(options)
  await serve('city', 'traffic', 2)
  await serve('city', 'shared', 3)
  await serve('harbour', 'shared', 4)
})

afterAll(async () => {
  for (const { thread } of catalogue.all()) await thread.terminate()
})

async function get(path: string): Promise<{ status: number; body: unknown }> {
  const response = await app.request(path)
  return { status: response.status, body: await response.json() }
}

async function post(path: string, body: unknown): Promise<{ status: number; body: unknown }> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await app.request(path, { method: 'POST', body: text })
  return { status: response.status, body: await response.json() }
}

const tensor = (changes: object = {}) => ({
  name: 'x',
  shape: [1, 3],
  datatype: 'FP32',
  data: [1, 2, 3],
  ...changes,
})

describe('health and metadata', () => {
  it.each([
    { path: '/v2', want: { name: 'tributary', version: '1.2.3', extensions: [] } },
    { path: '/v2/health/live', want: { live: true } },
    { path: '/v2/health/ready', want: { ready: true } },
    { path: '/v2/models/traffic/ready', want: { name: 'traffic', ready: true } },
    { path: '/v2/models/traffic/versions/2/ready', want: { name: 'traffic', ready: true } },
  ])('GET $path', async ({ path, want }) => {
    expect(await get(path)).toEqual({ status: 200, body: want })
  })

  it.each(['/v2/models/traffic', '/v2/models/city.traffic', '/v2/models/traffic/versions/2'])(
    'GET %s',
    async (path) => {
      expect(await get(path)).toEqual({
        status: 200,
        body: {
          name: 'traffic',
          versions: ['2'],
          platform: 'onnxruntime_onnx',
          inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
          outputs: [{ name: 'y', datatype: 'FP32', shape: expect.any(Array) as number[] }],
        },
      })
    },
  )

  it.each([
    { path: '/v2/models/none', want: 'no model none on this node' },
    { path: '/v2/models/traffic/versions/1', want: 'version 1 asked for, version 2 is loaded' },
    { path: '/v2/models/shared', want: 'ask for one of city.shared, harbour.shared' },
    { path: '/v2/elsewhere', want: 'GET /v2/elsewhere is not part of this API' },
  ])('GET $path is not found, and says why', async ({ path, want }) => {
    expect(await get(path)).toEqual({ status: 404, body: { error: expect.stringContaining(want) as string } })
  })

  it('is ready once the models on disk were looked at', async () => {
    started = false
    expect(await get('/v2/health/ready')).toEqual({ status: 503, body: { ready: false } })
    expect((await get('/v2/health/live')).status).toBe(200)
    started = true
  })

  it('is not ready while a wanted model has no version that answers, and says why', async () => {
    const model = { namespace: 'city', name: 'parking' }
    catalogue.refuse({ ...model, version: 1 }, new ModelRefused('ManifestUntrusted', 'no signature verifies'))
    expect((await get('/v2/health/ready')).status).toBe(503)
    expect(await get('/v2/models/parking')).toEqual({
      status: 404,
      body: { error: 'model parking has no version loaded: ManifestUntrusted: no signature verifies' },
    })
    catalogue.remove(model)
    expect((await get('/v2/health/ready')).status).toBe(200)
  })
})

describe('inference', () => {
  it('answers with name, version, identifier and outputs', async () => {
    expect(await post('/v2/models/traffic/infer', { id: 'a-1', inputs: [tensor()] })).toEqual({
      status: 200,
      body: {
        model_name: 'traffic',
        model_version: '2',
        id: 'a-1',
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 3], data: [2, 4, 6] }],
      },
    })
  })

  it.each(['/v2/models/harbour.shared/infer', '/v2/models/harbour.shared/versions/4/infer'])(
    'finds the model of one namespace: %s',
    async (path) => {
      expect(await post(path, { inputs: [tensor()], outputs: [{ name: 'y' }] })).toMatchObject({
        status: 200,
        body: { outputs: [{ data: [4, 8, 12] }] },
      })
    },
  )

  it.each([
    { name: 'no JSON', body: 'x=1', want: 'the request body is not JSON' },
    { name: 'no inputs', body: {}, want: 'inputs' },
    { name: 'an input without data', body: { inputs: [tensor({ data: undefined })] }, want: 'inputs.0.data' },
    {
      name: 'a shape that is no list of sizes',
      body: { inputs: [tensor({ shape: [-1, 3] })] },
      want: 'inputs.0.shape.0',
    },
    { name: 'a missing input', body: { inputs: [] }, want: 'input x is missing; the model needs x' },
    {
      name: 'an unknown input',
      body: { inputs: [tensor(), tensor({ name: 'z' })] },
      want: "input z is not one of the model's: x",
    },
    { name: 'an input twice', body: { inputs: [tensor(), tensor()] }, want: 'input x is given twice' },
    {
      name: 'an unknown output',
      body: { inputs: [tensor()], outputs: [{ name: 'z' }] },
      want: "output z is not one of the model's: y",
    },
    {
      name: 'another datatype',
      body: { inputs: [tensor({ datatype: 'INT64' })] },
      want: 'datatype INT64 given, FP32 expected',
    },
    {
      name: 'another shape',
      body: { inputs: [tensor({ shape: [3] })] },
      want: 'shape [3] given, [-1, 3] expected',
    },
    {
      name: 'tensors in binary',
      body: { inputs: [tensor({ parameters: { binary_data_size: 12 }, data: undefined })] },
      want: 'inputs.0.data',
    },
  ])('refuses $name with a sentence', async ({ body, want }) => {
    const answer = await post('/v2/models/traffic/infer', body)
    expect(answer).toEqual({ status: 400, body: { error: expect.stringContaining(want) as string } })
  })

  it('refuses a body that is too large', async () => {
    const answer = await post('/v2/models/traffic/infer', {
      inputs: [tensor({ data: new Array(LIMIT).fill(1) })],
    })
    expect(answer).toEqual({ status: 413, body: { error: `the request body is larger than ${LIMIT} bytes` } })
  })

  it('refuses an output that JSON cannot hold', async () => {
    const answer = await post('/v2/models/traffic/infer', { inputs: [tensor({ data: [3e38, 1, 1] })] })
    expect(answer).toEqual({
      status: 500,
      body: { error: 'output y: element 0 is Infinity, which JSON cannot hold' },
    })
  })

  it('is counted by status', async () => {
    const counted =
      /tributary_agent_inference_requests_total\{namespace="city",name="traffic",status="(\d+)"\} (\d+)/g
    const before = new Map(
      [...(await metrics.text()).matchAll(counted)].map(([, status, count]) => [status, Number(count)]),
    )
    await post('/v2/models/traffic/infer', { inputs: [tensor()] })
    await post('/v2/models/traffic/infer', { inputs: [] })
    const after = new Map(
      [...(await metrics.text()).matchAll(counted)].map(([, status, count]) => [status, Number(count)]),
    )
    for (const status of ['200', '400']) expect(after.get(status)).toBe((before.get(status) ?? 0) + 1)
    expect(await metrics.text()).toContain('tributary_agent_model_version{namespace="city",name="traffic"} 2')
  })
})

describe('a thread that does not answer', () => {
  const hanging = new URL(
    "data:text/javascript,import { parentPort } from 'node:worker_threads'; let n = 0; parentPort.on('message', (m) => { if (m.kind === 'load') parentPort.postMessage({ id: m.id, kind: 'loaded', description: { inputs: [], outputs: [] } }); else if (m.outputs[0] === 'die') process.exit() })",
  )
  const limits = { loadMs: 20_000, inferenceMs: 50, maximumPending: 1 }

  it.each([
    { name: 'in time', outputs: [] as string[], want: 'timeout' },
    { name: 'because it died', outputs: ['die'], want: 'gone' },
  ])('$name ends the request', async ({ outputs, want }) => {
    const slow = await ModelThread.load(
      hanging,
      new Uint8Array(),
      want === 'gone' ? { ...limits, inferenceMs: 20_000 } : limits,
    )
    await expect(slow.run([], outputs)).rejects.toMatchObject({ kind: want })
    await slow.terminate()
  })

  it('takes no more requests than its line is long', async () => {
    const slow = await ModelThread.load(hanging, new Uint8Array(), limits)
    const [first, second] = await Promise.allSettled([slow.run([], []), slow.run([], [])])
    expect(
      [first, second].map((result) => ((result as PromiseRejectedResult).reason as InferenceError).kind),
    ).toEqual(['timeout', 'busy'])
    await slow.terminate()
  })

  it('does not load for ever', async () => {
    const silent = new URL(
      "data:text/javascript,import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => {})",
    )
    await expect(ModelThread.load(silent, new Uint8Array(), { ...limits, loadMs: 50 })).rejects.toMatchObject(
      { kind: 'timeout' },
    )
  })
})
