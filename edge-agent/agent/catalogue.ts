// The models that this node serves, and why a wanted one is not served. Lookups see one version or the next, never a
// state in between; the version that is replaced answers the requests that it has begun.
import type { ServedModel } from '#federation/wire/generated/tributary.ts'

import type { ModelVersionManifest } from '#federation/artefact/manifest.ts'

import type { ModelThread } from './model-thread.ts'
import type { ModelRefused } from './refusals.ts'
import type { ModelIdentity, ModelName } from './verify.ts'

export interface Serving {
  readonly manifest: ModelVersionManifest
  /** Of the signed envelope. */
  readonly manifestDigest: string
  readonly thread: ModelThread
}

const MAXIMUM_MESSAGE_LENGTH = 1024

interface Entry {
  readonly model: ModelName
  serving?: Serving
  failure?: { readonly version: number; readonly refusal: ModelRefused }
}

export type Lookup =
  | { readonly kind: 'found'; readonly serving: Serving }
  | { readonly kind: 'missing'; readonly message: string }

export class Catalogue {
  readonly #entries = new Map<string, Entry>()

  names(): ModelName[] {
    return this.#sorted().map(({ model }) => model)
  }

  serving(model: ModelName): Serving | undefined {
    return this.#entries.get(keyOf(model))?.serving
  }

  all(): Serving[] {
    return this.#sorted().flatMap(({ serving }) => serving ?? [])
  }

  /** Every model that is wanted or was installed has a version that answers. */
  get complete(): boolean {
    return this.#sorted().every(({ serving }) => serving?.thread.alive === true)
  }

  /** From now on this answers; returns what answered before, for the caller to retire. */
  serve(serving: Serving): Serving | undefined {
    const entry = this.#entry(serving.manifest)
    const before = entry.serving
    entry.serving = serving
    delete entry.failure
    return before
  }

  /** The wanted version is not loaded; what is loaded goes on answering. */
  refuse({ version, ...model }: ModelIdentity, refusal: ModelRefused): void {
    this.#entry(model).failure = { version, refusal }
  }

  /** The wanted version is the one that is loaded. */
  settle(model: ModelName): void {
    delete this.#entry(model).failure
  }

  remove(model: ModelName): Serving | undefined {
    const entry = this.#entries.get(keyOf(model))
    this.#entries.delete(keyOf(model))
    return entry?.serving
  }

  /** @param path `<name>` where only one namespace has it, or `<namespace>.<name>` */
  find(path: string): Lookup {
    const exact = this.#sorted().filter(({ model }) => `${model.namespace}.${model.name}` === path)
    const matches = exact.length > 0 ? exact : this.#sorted().filter(({ model }) => model.name === path)
    const [first, second] = matches
    if (first && second) {
      const choices = matches.map(({ model }) => `${model.namespace}.${model.name}`).join(', ')
      return {
        kind: 'missing',
        message: `several namespaces have a model ${path}; ask for one of ${choices}`,
      }
    }
    if (!first) return { kind: 'missing', message: `no model ${path} on this node` }
    if (first.serving) return { kind: 'found', serving: first.serving }
    const why = first.failure ? `: ${first.failure.refusal.reason}: ${first.failure.refusal.message}` : ' yet'
    return { kind: 'missing', message: `model ${path} has no version loaded${why}` }
  }

  /** What the hub is told. */
  report(): ServedModel[] {
    return this.#sorted().map(reportOf)
  }

  #entry({ namespace, name }: ModelName): Entry {
    const key = keyOf({ namespace, name })
    const entry = this.#entries.get(key) ?? { model: { namespace, name } }
    this.#entries.set(key, entry)
    return entry
  }

  #sorted(): Entry[] {
    return [...this.#entries.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
  }
}

/** A slash is in neither part. */
function keyOf({ namespace, name }: ModelName): string {
  return `${namespace}/${name}`
}

function reportOf({ model, serving, failure }: Entry): ServedModel {
  const loaded = serving?.thread.alive ? serving.manifest : undefined
  return {
    ...model,
    version: loaded?.version ?? 0,
    digest: loaded?.model.digest ?? '',
    ...reportOfFailure(failure),
  }
}

function reportOfFailure(
  failure: Entry['failure'],
): Pick<ServedModel, 'failureReason' | 'failureMessage' | 'failedVersion'> {
  if (!failure) return { failureReason: '', failureMessage: '', failedVersion: 0 }
  const { version, refusal } = failure
  return {
    failureReason: refusal.reason,
    failureMessage: refusal.message.slice(0, MAXIMUM_MESSAGE_LENGTH),
    failedVersion: version,
  }
}
