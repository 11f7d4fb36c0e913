// One model as it lies on the disk: its plan, what its admission found, its versions, and what agents have loaded.
import { join } from 'node:path'
import { ModelState_Phase, type ModelState, type ModelVersion } from '#federation/wire/generated/tributary.ts'
import { ModelPlanSchema, type CheckedModelPlan } from '#federation/tier/plans.ts'
import { listDirectory, readRecord, writeRecord } from '#federation/tier/store/files.ts'
import { AdmissionRecord, AgentRecord, VersionRecord } from '#federation/tier/store/records.ts'

const MAXIMUM_VERSIONS_SHOWN = 20

export class Model {
  readonly directory: string
  plan: CheckedModelPlan
  admission: AdmissionRecord | undefined
  /** Why the source could not be read when last tried. */
  trouble: { reason: string; message: string } | undefined
  /** Oldest first. */
  readonly versions: VersionRecord[] = []
  readonly agents = new Map<string, AgentRecord>()
  readonly connectedAgents = new Set<string>()
  readonly deleted = new AbortController()

  private constructor(directory: string, plan: CheckedModelPlan) {
    this.directory = directory
    this.plan = plan
  }

  static async create(directory: string, plan: CheckedModelPlan): Promise<Model> {
    const model = new Model(directory, plan)
    await model.savePlan(plan)
    return model
  }

  static async load(directory: string): Promise<Model | undefined> {
    const plan = await readRecord(join(directory, 'plan.json'), ModelPlanSchema)
    if (!plan) return undefined
    const model = new Model(directory, plan)
    model.admission = await readRecord(join(directory, 'admission.json'), AdmissionRecord)
    for (const name of await listDirectory(join(directory, 'versions'))) {
      const version = await readRecord(join(directory, 'versions', name), VersionRecord)
      if (version) model.versions.push(version)
    }
    model.versions.sort((a, b) => a.version - b.version)
    for (const name of await listDirectory(join(directory, 'agents'))) {
      const agent = await readRecord(join(directory, 'agents', name), AgentRecord)
      if (agent) model.agents.set(agent.node, agent)
    }
    return model
  }

  get latest(): VersionRecord | undefined {
    return this.versions.at(-1)
  }

  /** The newest version that a campaign's rounds made, however old it is. */
  newestOf(campaign: string): VersionRecord | undefined {
    return this.versions.findLast((version) => version.campaign === campaign)
  }

  async savePlan(plan: CheckedModelPlan): Promise<void> {
    await writeRecord(join(this.directory, 'plan.json'), plan)
    this.plan = plan
  }

  async saveAdmission(record: AdmissionRecord): Promise<void> {
    await writeRecord(join(this.directory, 'admission.json'), record)
    this.admission = record
    this.trouble = undefined
  }

  async addVersion(record: VersionRecord): Promise<void> {
    await this.#saveVersion(record)
    this.versions.push(record)
  }

  /** Replaces the record of a version that is there. */
  async replaceVersion(record: VersionRecord): Promise<void> {
    await this.#saveVersion(record)
    const index = this.versions.findIndex(({ version }) => version === record.version)
    this.versions[index] = record
  }

  /** Returns whether the report says anything new. Only news is written: agents repeat themselves every 30 s. */
  async saveAgent(record: AgentRecord): Promise<boolean> {
    const known = this.agents.get(record.node)
    this.agents.set(record.node, record)
    if (
      known &&
      JSON.stringify({ ...known, lastReportMs: 0 }) === JSON.stringify({ ...record, lastReportMs: 0 })
    ) {
      return false
    }
    await writeRecord(join(this.directory, 'agents', `${record.node}.json`), record)
    return true
  }

  referencedBlobs(): string[] {
    return this.versions.flatMap((version) => [version.digest, version.manifest.digest])
  }

  state(): ModelState {
    const serving = new Set(this.plan.servingNodes)
    return {
      uid: this.plan.uid,
      ...this.#phase(),
      versions: this.versions.slice(-MAXIMUM_VERSIONS_SHOWN).reverse().map(toModelVersion),
      agents: [...this.agents.values()]
        .filter((agent) => serving.has(agent.node))
        .map(({ lastReportMs, ...agent }) => ({
          ...agent,
          lastReportUnixMs: lastReportMs,
          connected: this.connectedAgents.has(agent.node),
        })),
      parameterCount: this.admission?.parameterCount ?? 0,
    }
  }

  async #saveVersion(record: VersionRecord): Promise<void> {
    await writeRecord(join(this.directory, 'versions', `${record.version}.json`), record)
  }

  #phase(): { phase: ModelState_Phase; reason: string; message: string } {
    const { admission, trouble } = this
    if (admission?.outcome === 'Ready') return { phase: ModelState_Phase.READY, reason: '', message: '' }
    if (admission) return { ...pick(admission), phase: ModelState_Phase.REFUSED }
    if (trouble) return { ...pick(trouble), phase: ModelState_Phase.UNREACHABLE }
    return { phase: ModelState_Phase.ADMITTING, reason: '', message: '' }
  }
}

function pick({ reason, message }: { reason: string; message: string }): { reason: string; message: string } {
  return { reason, message }
}

export function unknownModel(uid: string): ModelState {
  const phase = ModelState_Phase.UNKNOWN
  return { uid, phase, reason: '', message: '', versions: [], agents: [], parameterCount: 0 }
}

export function toModelVersion(record: VersionRecord): ModelVersion {
  const { version, digest, size, parentDigest, createdMs, campaign, round, metrics, participants, samples } =
    record
  const from = { campaign, round, metrics, participants, samples }
  return { version, digest, size, parentDigest, createdUnixMs: createdMs, ...from }
}
