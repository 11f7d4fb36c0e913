// All models of the hub: admits the first version from its source, publishes further ones, and knows what each node
// should serve. A version is a content-addressed .onnx and a signed manifest; once its record is written it stays.
import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { digestOf } from '#federation/wire/digest.ts'
import type { DesiredModel, Parent, ServedModel } from '#federation/wire/generated/tributary.ts'
import { ModelRefused, type ModelCompiler } from '#federation/tier/compiler.ts'
import { TierError } from '#federation/tier/serving/errors.ts'
import { putManifest, signAnew } from './manifests.ts'
import { SourceUnreachable, type ModelSource } from './model-source.ts'
import { Model } from './model.ts'
import type { Clock } from '#federation/tier/clock.ts'
import type { CheckedModelPlan } from '#federation/tier/plans.ts'
import type { BlobStore } from '#federation/tier/store/blobs.ts'
import { listDirectory, makeDirectory, removeTree } from '#federation/tier/store/files.ts'
import type { VersionRecord } from '#federation/tier/store/records.ts'
import { orAborted, sleep } from '#federation/tier/sleep.ts'

export interface ModelsContext {
  readonly blobs: BlobStore
  readonly source: ModelSource
  readonly compiler: ModelCompiler
  readonly signingKey: KeyObject
  readonly clock: Clock
  readonly logger: Logger
  readonly onChange: (model: Model) => void
  readonly sweep: () => void
  /** An edge controller that has the bytes of a model for a node, too. */
  readonly mirrorOf: (modelUid: string, node: string) => Parent | undefined
  /** Called and awaited before the plan of a new model is written. */
  readonly planComes: () => Promise<void>
}

/** A round whose parameters become a version. */
export interface Publication {
  readonly campaign: string
  readonly round: number
  readonly baseDigest: string
  /** Manifest of the campaign's compilation. */
  readonly compilationDigest: string
  readonly parametersDigest: string
  readonly metrics: Record<string, number>
  readonly participants: number
  readonly samples: number
}

const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

export class Models {
  readonly #directory: string
  readonly #context: ModelsContext
  readonly #models = new Map<string, Model>()
  readonly #admissions = new Map<string, Promise<void>>()
  #tail: Promise<unknown> = Promise.resolve()

  constructor(root: string, context: ModelsContext) {
    this.#directory = join(root, 'models')
    this.#context = context
  }

  async load(): Promise<void> {
    await makeDirectory(this.#directory)
    for (const uid of await listDirectory(this.#directory)) {
      const model = await Model.load(join(this.#directory, uid))
      if (model) this.#models.set(uid, model)
    }
    await signAnew(this.all(), this.#context)
    for (const model of this.all()) this.#add(model)
  }

  get(uid: string): Model | undefined {
    return this.#models.get(uid)
  }

  all(): Model[] {
    return [...this.#models.values()]
  }

  latestVersion(uid: string): VersionRecord | undefined {
    const model = this.#models.get(uid)
    return model?.admission?.outcome === 'Ready' ? model.latest : undefined
  }

  async apply(plan: CheckedModelPlan): Promise<Model> {
    return this.#locked(async () => {
      const known = this.#models.get(plan.uid)
      if (known) {
        await this.#update(known, plan)
        return known
      }
      await this.#context.planComes()
      const model = await Model.create(join(this.#directory, plan.uid), plan)
      this.#add(model)
      this.#context.onChange(model)
      return model
    })
  }

  async delete(uid: string): Promise<void> {
    const model = this.#models.get(uid)
    if (!model) return
    model.deleted.abort()
    await this.#admissions.get(uid)
    await this.#locked(async () => {
      this.#models.delete(uid)
      await removeTree(model.directory)
    })
    this.#context.onChange(model)
    this.#context.sweep()
  }

  /** Makes a round's parameters the next version; the same round again gives the same version. */
  async publish(uid: string, publication: Publication): Promise<VersionRecord> {
    return this.#locked(async () => {
      const model = this.#models.get(uid)
      if (!model) throw new TierError('missing', 'ModelUnknown', `no plan was applied for model ${uid}`)
      const { campaign, round } = publication
      const published = model.versions.find(
        (version) => version.campaign === campaign && version.round === round,
      )
      if (published) return published
      return this.#context.blobs.hold(() => this.#publishNext(model, publication))
    })
  }

  /** What a node should serve now, and from where it may have it beside the hub. */
  desired(node: string): DesiredModel[] {
    return this.all()
      .filter((model) => model.latest && model.plan.servingNodes.includes(node))
      .map((model) => ({
        namespace: model.plan.namespace,
        name: model.plan.name,
        version: model.latest?.version ?? 0,
        manifest: model.latest?.manifest,
        mirror: this.#context.mirrorOf(model.plan.uid, node),
      }))
  }

  /** Takes an agent's report on the models it should serve. */
  async report(node: string, served: readonly ServedModel[]): Promise<void> {
    for (const report of served) {
      const model = this.all().find(
        ({ plan }) => plan.namespace === report.namespace && plan.name === report.name,
      )
      if (!model?.plan.servingNodes.includes(node)) continue
      const { version, digest, failureReason, failureMessage, failedVersion } = report
      const record = { node, version, digest, failureReason, failureMessage, failedVersion }
      const news = await model.saveAgent({ ...record, lastReportMs: this.#context.clock.now() })
      if (news) this.#context.onChange(model)
    }
  }

  setConnected(node: string, connected: boolean): void {
    for (const model of this.all()) {
      if (!model.plan.servingNodes.includes(node) || model.connectedAgents.has(node) === connected) continue
      if (connected) model.connectedAgents.add(node)
      else model.connectedAgents.delete(node)
      this.#context.onChange(model)
    }
  }

  async stop(): Promise<void> {
    for (const model of this.all()) model.deleted.abort()
    await Promise.all(this.#admissions.values())
    await this.#tail
  }

  #locked<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(change)
    this.#tail = result.catch(() => undefined)
    return result
  }

  #add(model: Model): void {
    this.#models.set(model.plan.uid, model)
    if (model.admission) return
    const admission = this.#admit(model).finally(() => this.#admissions.delete(model.plan.uid))
    this.#admissions.set(model.plan.uid, admission)
  }

  async #update(model: Model, plan: CheckedModelPlan): Promise<void> {
    if (JSON.stringify(plan) === JSON.stringify(model.plan)) return
    for (const field of ['namespace', 'name', 'storageUri', 'digest'] as const) {
      if (plan[field] === model.plan[field]) continue
      throw new TierError(
        'conflict',
        'PlanImmutable',
        `${field} of model ${plan.uid} cannot change once applied`,
      )
    }
    await model.savePlan(plan)
    this.#context.onChange(model)
  }

  /** Tries until the model is admitted, refused or deleted. */
  async #admit(model: Model): Promise<void> {
    const { signal } = model.deleted
    for (let waitMs = FIRST_RETRY_MS; !signal.aborted; waitMs = Math.min(2 * waitMs, LONGEST_RETRY_MS)) {
      const decided = await this.#tryToAdmit(model, signal)
      if (decided) return
      await sleep(waitMs, signal)
    }
  }

  /** Returns whether there is nothing more to try. */
  async #tryToAdmit(model: Model, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#admitOnce(model, signal)
    } catch (error) {
      if (signal.aborted) return true
      await this.#noteTrouble(model, error)
    }
    this.#context.onChange(model)
    return model.admission !== undefined
  }

  async #noteTrouble(model: Model, error: unknown): Promise<void> {
    if (error instanceof ModelRefused) {
      const { reason, message } = error
      await model.saveAdmission({ outcome: 'Refused', reason, message, parameterCount: 0 })
    } else if (error instanceof SourceUnreachable) {
      model.trouble = { reason: error.reason, message: error.message }
    } else {
      this.#context.logger.error(
        { err: error, model: model.plan.uid },
        'model could not be admitted, trying again',
      )
      model.trouble = {
        reason: 'InternalError',
        message: 'the hub could not admit the model; its log says why',
      }
    }
  }

  async #admitOnce(model: Model, signal: AbortSignal): Promise<void> {
    const { storageUri, namespace, digest } = model.plan
    const bytes = await this.#context.source.load({ storageUri, namespace, digest, signal })
    const found = digestOf(bytes)
    if (digest !== '' && found !== digest) {
      throw new ModelRefused(
        'DigestMismatch',
        `the file at ${storageUri} has digest ${found}; expected ${digest}`,
      )
    }
    const { parameterCount } = await orAborted(this.#context.compiler.admit(bytes), signal)
    await this.#context.blobs.hold(async () => {
      const first = { campaign: '', round: 0, parent: '', metrics: {}, participants: 0, samples: 0 }
      if (!model.latest) await this.#addVersion(model, bytes, first)
      await model.saveAdmission({ outcome: 'Ready', reason: '', message: '', parameterCount })
    })
  }

  async #publishNext(model: Model, publication: Publication): Promise<VersionRecord> {
    const { blobs, compiler, onChange } = this.#context
    const bytes = await compiler.publish({
      model: await blobs.read(publication.baseDigest),
      manifest: await blobs.read(publication.compilationDigest),
      parameters: await blobs.read(publication.parametersDigest),
    })
    const record = await this.#addVersion(model, bytes, { ...publication, parent: publication.baseDigest })
    onChange(model)
    return record
  }

  async #addVersion(model: Model, bytes: Uint8Array, origin: Origin): Promise<VersionRecord> {
    const { parent: parentDigest, campaign, round, metrics, participants, samples } = origin
    const version = (model.latest?.version ?? 0) + 1
    const createdMs = this.#context.clock.now()
    const file = await this.#context.blobs.put(bytes)
    const facts = { parentDigest, createdMs, campaign, round, metrics, participants, samples }
    const described = { version, ...file, ...facts }
    const record = { ...described, manifest: await putManifest(this.#context, model.plan, described) }
    await model.addVersion(record)
    return record
  }
}

type Origin = Pick<Publication, 'campaign' | 'round' | 'metrics' | 'participants' | 'samples'> & {
  parent: string
}
