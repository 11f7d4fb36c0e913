// Helm on the committed chart, and its output as objects.
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import { run } from '#e2e/cluster/run.ts'
import { toolPath } from '#e2e/cluster/tools.ts'

export const CHART = fileURLToPath(new URL('../tributary', import.meta.url))
export const NAMESPACE = 'tributary-system'

/** The one value without a default. */
export const ADDRESS = '203.0.113.10:30843'

export interface PodSpec {
  containers: {
    name: string
    image: string
    imagePullPolicy: string
    args: string[]
    env: { name: string; value?: string; valueFrom?: unknown }[]
    resources?: unknown
    securityContext: unknown
  }[]
  volumes: Record<string, unknown>[]
  [field: string]: unknown
}

export interface Rendered {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace?: string
    labels: Record<string, string>
    annotations?: Record<string, string>
  }
  spec?: { template: { metadata: object; spec: PodSpec }; [field: string]: unknown }
  [field: string]: unknown
}

export async function helm(args: string[], values?: object): Promise<string> {
  if (values === undefined) return run(toolPath('helm'), args)
  return run(toolPath('helm'), [...args, '--values=-'], { input: JSON.stringify(values) })
}

export async function rendered(values: object = { hub: { address: ADDRESS } }): Promise<Rendered[]> {
  const output = await helm(['template', 'tributary', CHART, `--namespace=${NAMESPACE}`], values)
  return parseAllDocuments(output).map((document) => document.toJS() as Rendered)
}

export function find(objects: Rendered[], kind: string, name: string): Rendered {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name)
  if (!found) throw new Error(`no ${kind} ${name}`)
  return found
}

export function podOf(objects: Rendered[], component: 'operator' | 'hub' | 'agent'): PodSpec {
  const kind = { operator: 'Deployment', hub: 'StatefulSet', agent: 'DaemonSet' }[component]
  const { spec } = find(objects, kind, `tributary-${component}`)
  if (!spec) throw new Error(`${kind} without spec`)
  return spec.template.spec
}

/** What the container finds in its environment, with Kubernetes' own parts filled in. */
export function environmentOf(pod: PodSpec, provided: Record<string, string>): Record<string, string> {
  const variables = pod.containers[0]?.env ?? []
  return Object.fromEntries(variables.map(({ name, value }) => [name, value ?? provided[name] ?? '']))
}
