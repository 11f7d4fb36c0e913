// The Open Inference Protocol, version 2, over REST: health, metadata and inference for the models on this node. Errors
// have the protocol's form, {"error": "<sentence>"}. Nothing here waits for the cloud.
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { z } from 'zod'

import type { Catalogue, Serving } from './catalogue.ts'
import type { AgentMetrics } from './metrics.ts'
import type { TensorDescription, TensorValue } from './model-jobs.ts'
import { InferenceError } from './model-thread.ts'
import { BadTensor, DATATYPES, fromJson, toJson } from './tensors.ts'

export interface OpenInferenceOptions {
  readonly catalogue: Catalogue
  readonly metrics: AgentMetrics
  readonly softwareVersion: string
  /** True once the models on disk have been loaded or refused. */
  readonly started: () => boolean
  readonly maximumBodyBytes: number
}

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))

const InferRequest = z.object({
  id: z.string().max(1024).optional(),
  parameters: parameters.optional(),
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: z.array(z.int().min(0)).max(16),
        datatype: z.string(),
        parameters: parameters.optional(),
        data: z.array(z.unknown()),
      }),
    )
    .max(64),
  outputs: z
    .array(z.object({ name: z.string(), parameters: parameters.optional() }))
    .max(64)
    .optional(),
})
type InferRequest = z.infer<typeof InferRequest>

/** A request that cannot be granted, with its HTTP status. */
class Refusal extends Error {
  readonly status: 400 | 404 | 503

  constructor(status: Refusal['status'], message: string) {
    super(message)
    this.status = status
  }
}

export function openInference(options: OpenInferenceOptions): Hono {
  const { catalogue, softwareVersion, started } = options
  const app = new Hono()
  const ready = () => started() && catalogue.complete
  app.get('/v2', (c) => c.json({ name: 'tributary', version: softwareVersion, extensions: [] }))
  app.get('/v2/health/live', (c) => c.json({ live: true }))
  app.get('/v2/health/ready', (c) => c.json({ ready: ready() }, ready() ? 200 : 503))
  for (const path of ['/v2/models/:name', '/v2/models/:name/versions/:version'] as const) {
    app.get(path, (c) => c.json(metadata(found(c, catalogue))))
    app.get(`${path}/ready`, (c) => {
      const { manifest, thread } = found(c, catalogue)
      return c.json({ name: manifest.name, ready: thread.alive }, thread.alive ? 200 : 503)
    })
    app.post(`${path}/infer`, limited(options.maximumBodyBytes), async (c) => await infer(c, options))
  }
  app.notFound((c) => c.json({ error: `${c.req.method} ${c.req.path} is not part of this API` }, 404))
  app.onError((error, c) => c.json({ error: error.message }, statusOf(error)))
  return app
}

function limited(maximumBytes: number) {
  return bodyLimit({
    maxSize: maximumBytes,
    onError: (c) => c.json({ error: `the request body is larger than ${maximumBytes} bytes` }, 413),
  })
}

function found(c: Context, catalogue: Catalogue): Serving {
  const lookup = catalogue.find(c.req.param('name') ?? '')
  if (lookup.kind === 'missing') throw new Refusal(404, lookup.message)
  const version = c.req.param('version')
  const loaded = String(lookup.serving.manifest.version)
  if (version !== undefined && version !== loaded) {
    const { name } = lookup.serving.manifest
    throw new Refusal(404, `model ${name}: version ${version} asked for, version ${loaded} is loaded`)
  }
  return lookup.serving
}

function metadata({ manifest, thread }: Serving) {
  const { inputs, outputs } = thread.description
  return {
    name: manifest.name,
    versions: [String(manifest.version)],
    platform: 'onnxruntime_onnx',
    inputs: inputs.map(tensorMetadata),
    outputs: outputs.map(tensorMetadata),
  }
}

function tensorMetadata({ name, type, shape }: TensorDescription) {
  return { name, datatype: DATATYPES[type], shape }
}

async function infer(c: Context, { catalogue, metrics }: OpenInferenceOptions): Promise<Response> {
  const { manifest, thread } = found(c, catalogue)
  const finish = metrics.startInference(manifest)
  try {
    const request = await readRequest(c)
    const inputs = inputTensors(request, thread.description.inputs)
    const outputs = await thread.run(inputs, outputNames(request, thread.description.outputs))
    const { name, version } = manifest
    const answer = {
      model_name: name,
      model_version: String(version),
      ...(request.id !== undefined && { id: request.id }),
      outputs: outputs.map(toJson),
    }
    finish(200)
    return c.json(answer)
  } catch (error) {
    finish(statusOf(error))
    throw error
  }
}

async function readRequest(c: Context): Promise<InferRequest> {
  let json: unknown
  try {
    json = await c.req.json()
  } catch {
    throw new Refusal(400, 'the request body is not JSON; tensors are taken as JSON only')
  }
  const result = InferRequest.safeParse(json)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new Refusal(400, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`)
}

function inputTensors({ inputs }: InferRequest, expected: readonly TensorDescription[]): TensorValue[] {
  const known = expected.map(({ name }) => name).join(', ')
  for (const [index, { name }] of inputs.entries()) {
    if (!expected.some((input) => input.name === name)) {
      throw new BadTensor(`input ${name} is not one of the model's: ${known}`)
    }
    if (inputs.findIndex((input) => input.name === name) !== index)
      throw new BadTensor(`input ${name} is given twice`)
  }
  return expected.map((description) => {
    const given = inputs.find(({ name }) => name === description.name)
    if (!given) throw new BadTensor(`input ${description.name} is missing; the model needs ${known}`)
    return fromJson(given, description)
  })
}

function outputNames({ outputs }: InferRequest, known: readonly TensorDescription[]): string[] {
  const names = outputs?.map(({ name }) => name) ?? []
  const unknown = names.find((name) => !known.some((output) => output.name === name))
  if (unknown === undefined) return [...new Set(names)]
  throw new BadTensor(
    `output ${unknown} is not one of the model's: ${known.map(({ name }) => name).join(', ')}`,
  )
}

function statusOf(error: unknown): 400 | 404 | 500 | 503 | 504 {
  if (error instanceof Refusal) return error.status
  if (error instanceof BadTensor) return 400
  if (!(error instanceof InferenceError)) return 500
  if (error.kind === 'timeout') return 504
  return error.kind === 'failed' ? 500 : 503
}
