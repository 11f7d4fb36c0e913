// Where a resource lives on the API server. Names are checked before they become part of a path: a name with a
// slash or a dot-dot would otherwise reach another resource.

import type { KubeObject, ObjectRef, ResourceType } from './types.ts'

export type Query = Record<string, string | number | boolean | undefined>

export function collectionPath(type: ResourceType<KubeObject>, namespace?: string): string {
  const root = type.apiVersion.includes('/') ? `/apis/${type.apiVersion}` : `/api/${type.apiVersion}`
  if (!type.namespaced && namespace)
    throw new Error(`${type.kind} belongs to no namespace, got "${namespace}"`)
  const scope = namespace ? `/namespaces/${segment('namespace', namespace)}` : ''
  return `${root}${scope}/${type.plural}`
}

export function objectPath(type: ResourceType<KubeObject>, ref: ObjectRef, subresource?: string): string {
  if (type.namespaced && !ref.namespace) throw new Error(`${type.kind} "${ref.name}": namespace is missing`)
  const path = `${collectionPath(type, ref.namespace)}/${segment('name', ref.name)}`
  return subresource ? `${path}/${subresource}` : path
}

export function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, String(value))
  }
  const text = parameters.toString()
  return text === '' ? path : `${path}?${text}`
}

function segment(field: string, value: string): string {
  if (!/^[A-Za-z0-9]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?$/.test(value) || value.includes('..')) {
    throw new Error(`metadata.${field}: "${value.slice(0, 80)}" is not a Kubernetes name`)
  }
  return encodeURIComponent(value)
}
