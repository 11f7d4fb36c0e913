// Brings an example onto a cluster as its README says: data onto each node, the model as a ConfigMap, the manifests.
// Data lie on their node only; placing them is not the product's job but its user's.
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parse } from 'yaml'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { checkoutFolder } from '#e2e/cluster/paths.ts'
import { prepare as prepareDigits } from '../../examples/digits/prepare.ts'
import { prepare as prepareTraffic } from '../../examples/traffic/prepare.ts'
import { edgeNodes } from './install.ts'

export type ExampleName = 'digits' | 'traffic'

const PREPARE = { digits: prepareDigits, traffic: prepareTraffic }

export interface LabelledSample {
  features: number[]
  label: number
}

export function exampleFolder(name: ExampleName): string {
  return path.join(checkoutFolder, 'examples', name)
}

/** Puts each node's own file onto that node. Returns the common test set, which no node has. */
export async function placeData(
  cluster: Cluster,
  name: ExampleName,
  seed: number,
): Promise<LabelledSample[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tributary-data-'))
  try {
    const prepared = PREPARE[name]({ nodes: edgeNodes(cluster), outDir: folder, seed })
    for (const [node, file] of prepared.nodes) {
      const target = await cluster.hostFolder(node, `/srv/tributary/${name}`)
      await mkdir(target, { recursive: true })
      await copyFile(file.path, path.join(target, 'samples.csv'))
    }
    return await readSamples(prepared.test.path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function readSamples(file: string): Promise<LabelledSample[]> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n').slice(1)
  return lines.map((line) => {
    const values = line.split(',').map(Number)
    return { features: values.slice(0, -1), label: values.at(-1) ?? Number.NaN }
  })
}

/** The namespace and the model's ConfigMap. */
export async function applyModelFile(cluster: Cluster, name: ExampleName, namespace: string): Promise<void> {
  const file = await readFile(path.join(exampleFolder(name), 'model.onnx'))
  const configMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `${name}-model`, namespace },
    binaryData: { 'model.onnx': file.toString('base64') },
  }
  // Server-side: a client-side apply would copy the file into an annotation, which is limited.
  await cluster.kubectl(['apply', '--server-side', '--filename=-'], { input: JSON.stringify(configMap) })
}

export interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string }
  spec: Record<string, unknown>
}

/** A manifest of the example as it is in the repository. */
export async function manifestOf(name: ExampleName, file: string): Promise<Manifest> {
  return parse(
    await readFile(path.join(exampleFolder(name), 'manifests', `${file}.yaml`), 'utf8'),
  ) as Manifest
}

/** Applies the example's manifests, all three unless told which; `change` edits the FederatedRound first. */
export async function applyManifests(
  cluster: Cluster,
  name: ExampleName,
  namespace: string,
  { files = MANIFESTS, change = (round) => round }: ManifestChoice = {},
): Promise<void> {
  for (const file of files) {
    const manifest = await manifestOf(name, file)
    const object = file === 'federated-round' ? change(manifest) : manifest
    await cluster.kubectl(['apply', `--namespace=${namespace}`, '--filename=-'], {
      input: JSON.stringify(object),
    })
  }
}

const MANIFESTS = ['device-profile', 'edge-model', 'federated-round'] as const

interface ManifestChoice {
  files?: readonly (typeof MANIFESTS)[number][]
  change?: (round: Manifest) => Manifest
}
