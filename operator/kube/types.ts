// Shapes that every part of the Kubernetes layer shares: plain objects as the API server sends them (timestamps
// stay strings), a value that names a resource, and the few things received from main.ts (clock, randomness, log).

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean | undefined
  blockOwnerDeletion?: boolean | undefined
}

export interface ObjectMeta {
  name: string
  namespace?: string | undefined
  uid?: string | undefined
  resourceVersion?: string | undefined
  generation?: number | undefined
  creationTimestamp?: string | undefined
  deletionTimestamp?: string | undefined
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
  finalizers?: string[] | undefined
  ownerReferences?: OwnerReference[] | undefined
}

export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

declare const objectType: unique symbol

/** Names a resource to the API server; T is what its objects look like to the compiler. */
export interface ResourceType<T extends KubeObject> {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
  readonly [objectType]?: T
}

export interface ObjectRef {
  namespace?: string | undefined
  name: string
}

/** `namespace/name`, or `name` for what belongs to no namespace. */
export type Key = string

export type DeepPartial<T> = T extends (infer Item)[]
  ? DeepPartial<Item>[]
  : T extends object
    ? { [Field in keyof T]?: DeepPartial<T[Field]> | undefined }
    : T

/** What server-side apply takes: the fields that the caller wants to own, and the object's identity. */
export type Applied<T extends KubeObject> = DeepPartial<Omit<T, keyof KubeObject>> & KubeObject

export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** A number in [0, 1), as from Math.random. */
export type Random = () => number

export function resourceType<T extends KubeObject>(names: {
  apiVersion: string
  kind: string
  plural: string
  namespaced: boolean
}): ResourceType<T> {
  return names
}

export function keyOf(ref: ObjectRef): Key {
  return ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name
}

export function refOf(key: Key): ObjectRef {
  const slash = key.indexOf('/')
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}
