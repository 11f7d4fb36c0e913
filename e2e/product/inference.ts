// Asks an agent for a prediction over the Open Inference Protocol, on the address of its node.
import type { Cluster } from '#e2e/cluster/cluster.ts'

const AGENT_PORT = 8000

interface TensorMetadata {
  name: string
  datatype: string
  shape: number[]
}

export interface ModelMetadata {
  name: string
  versions: string[]
  inputs: TensorMetadata[]
  outputs: TensorMetadata[]
}

export interface Prediction {
  modelVersion: string
  /** Index of the largest output of each sample. */
  classes: number[]
}

export async function modelMetadata(cluster: Cluster, node: string, model: string): Promise<ModelMetadata> {
  return (await ask(cluster, node, `/v2/models/${model}`)) as ModelMetadata
}

/** @param samples one row of features a sample; reshaped to the model's input. */
export async function predictClasses(
  cluster: Cluster,
  node: string,
  model: string,
  samples: number[][],
): Promise<Prediction> {
  const { inputs } = await modelMetadata(cluster, node, model)
  const input = inputs[0]
  if (!input) throw new Error(`model ${model} on ${node} says it has no input`)
  const request = {
    inputs: [
      {
        name: input.name,
        datatype: 'FP32',
        shape: [samples.length, ...input.shape.slice(1)],
        data: samples.flat(),
      },
    ],
  }
  const answer = (await ask(cluster, node, `/v2/models/${model}/infer`, request)) as {
    model_version: string
    outputs: { shape: number[]; data: number[] }[]
  }
  const output = answer.outputs[0]
  if (!output) throw new Error(`model ${model} on ${node} answered no output`)
  const width = output.data.length / samples.length
  return {
    modelVersion: answer.model_version,
    classes: samples.map((_, index) => indexOfLargest(output.data.slice(index * width, (index + 1) * width))),
  }
}

async function ask(cluster: Cluster, node: string, path: string, body?: object): Promise<unknown> {
  const url = `http://${cluster.nodeAddress(node)}:${AGENT_PORT}${path}`
  const response = await fetch(url, {
    signal: AbortSignal.timeout(20_000),
    ...(body
      ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
      : {}),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text.slice(0, 500)}`)
  return JSON.parse(text)
}

function indexOfLargest(values: number[]): number {
  return values.reduce((best, value, index) => (value > (values[best] ?? -Infinity) ? index : best), 0)
}
