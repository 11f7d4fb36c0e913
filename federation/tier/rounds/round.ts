// One round as it lies on the disk and, the same facts, in memory. Every change is written before it is remembered,
// so whatever memory says is durable. Callers serialise the changes of one campaign.
import { rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { z } from 'zod'
import { listDirectory, readRecord, removeTree, writeRecord } from '../store/files.ts'
import {
  AttemptRecord,
  ClosedRecord,
  CommitRecord,
  ConflictRecord,
  DroppedRecord,
  EvaluationRecord,
  FailureRecord,
  IntermediateRecord,
  ResultRecord,
  ShortRecord,
  UpdateRecord,
} from '../store/records.ts'
import type { SpareFiles } from '../store/spares.ts'
import { intermediateKey, membersAsUpdates } from '../tiers/members.ts'

interface Singles {
  short: ShortRecord
  commit: CommitRecord
  result: ResultRecord
  closed: ClosedRecord
}

export class Round {
  readonly number: number
  readonly directory: string
  attempt: AttemptRecord
  #chosen: ReadonlySet<string>
  short: ShortRecord | undefined
  commit: CommitRecord | undefined
  result: ResultRecord | undefined
  closed: ClosedRecord | undefined
  /** By node; those that came within an intermediate update, too. */
  readonly updates = new Map<string, UpdateRecord>()
  /** Accepted intermediate updates by their key. */
  readonly intermediates = new Map<string, IntermediateRecord>()
  /** Whose update to this round came when it could not count any more. */
  readonly dropped = new Map<string, DroppedRecord>()
  /** Who sent other bytes after those that were accepted. */
  readonly conflicts = new Map<string, ConflictRecord>()
  readonly failures = new Map<string, FailureRecord>()
  readonly evaluations = new Map<string, EvaluationRecord>()

  private constructor(directory: string, attempt: AttemptRecord) {
    this.number = attempt.round
    this.directory = directory
    this.attempt = attempt
    this.#chosen = new Set(attempt.participants)
  }

  static async create(directory: string, attempt: AttemptRecord): Promise<Round> {
    await writeRecord(join(directory, 'plan.json'), attempt)
    return new Round(directory, attempt)
  }

  /** Reads a round again after a restart; undefined when the crash came before its plan was written. */
  static async load(directory: string): Promise<Round | undefined> {
    const attempt = await readRecord(join(directory, 'plan.json'), AttemptRecord)
    if (!attempt) return undefined
    const round = new Round(directory, attempt)
    round.short = await readRecord(join(directory, 'short.json'), ShortRecord)
    round.commit = await readRecord(join(directory, 'commit.json'), CommitRecord)
    round.result = await readRecord(join(directory, 'result.json'), ResultRecord)
    round.closed = await readRecord(join(directory, 'closed.json'), ClosedRecord)
    for (const name of await listDirectory(join(directory, 'updates'))) {
      const record = await readRecord(join(directory, 'updates', name, 'update.json'), UpdateRecord)
      if (record) round.updates.set(record.participant, record)
    }
    for (const path of await round.#offerDirectories()) {
      const record = await readRecord(join(path, 'intermediate.json'), IntermediateRecord)
      if (record) round.#remember(record)
    }
    await loadAll(join(directory, 'dropped'), DroppedRecord, round.dropped)
    await loadAll(join(directory, 'conflicts'), ConflictRecord, round.conflicts)
    await loadAll(join(directory, 'failures'), FailureRecord, round.failures)
    await loadAll(join(directory, 'evaluations'), EvaluationRecord, round.evaluations)
    return round
  }

  async saveAttempt(attempt: AttemptRecord): Promise<void> {
    await writeRecord(join(this.directory, 'plan.json'), attempt)
    this.attempt = attempt
    this.#chosen = new Set(attempt.participants)
  }

  /** Whether this participant takes part in the current attempt. */
  isChosen(participant: string): boolean {
    return this.#chosen.has(participant)
  }

  async save<K extends keyof Singles>(name: K, record: Singles[K]): Promise<void> {
    await writeRecord(join(this.directory, `${name}.json`), record)
    Object.assign(this, { [name]: record })
  }

  async addUpdate(record: UpdateRecord): Promise<void> {
    await writeRecord(join(this.uploadDirectory(record.participant), 'update.json'), record)
    this.updates.set(record.participant, record)
  }

  /** One record: from here on the updates of all members count. */
  async addIntermediate(record: IntermediateRecord): Promise<void> {
    const directory = this.offerDirectory(intermediateKey(record.tier, record.offer))
    await writeRecord(join(directory, 'intermediate.json'), record)
    this.#remember(record)
  }

  #remember(record: IntermediateRecord): void {
    this.intermediates.set(intermediateKey(record.tier, record.offer), record)
    for (const update of membersAsUpdates(record)) this.updates.set(update.participant, update)
  }

  async addDropped(record: DroppedRecord): Promise<void> {
    await writeRecord(join(this.directory, 'dropped', `${record.participant}.json`), record)
    this.dropped.set(record.participant, record)
  }

  async addConflict(record: ConflictRecord): Promise<void> {
    await writeRecord(join(this.directory, 'conflicts', `${record.participant}.json`), record)
    this.conflicts.set(record.participant, record)
  }

  async addFailure(record: FailureRecord): Promise<void> {
    await writeRecord(join(this.directory, 'failures', `${record.participant}.json`), record)
    this.failures.set(record.participant, record)
  }

  async addEvaluation(record: EvaluationRecord): Promise<void> {
    await writeRecord(join(this.directory, 'evaluations', `${record.participant}.json`), record)
    this.evaluations.set(record.participant, record)
  }

  /** Where a participant's update is spooled. */
  uploadDirectory(participant: string): string {
    return uploadDirectory(this.directory, participant)
  }

  uploadPath(participant: string, digest: string): string {
    return uploadPath(this.directory, participant, digest)
  }

  /** Where an intermediate update is spooled, beside the offer that says whose updates it holds. */
  offerDirectory(key: string): string {
    return join(this.directory, 'tiers', key)
  }

  /** Frees the bytes of all updates, those included that arrive; what was accepted stays on record. */
  async dropUpdateBytes(spares: SpareFiles): Promise<void> {
    for (const participant of await listDirectory(join(this.directory, 'updates'))) {
      await dropBytes(this.uploadDirectory(participant), this.updates.get(participant)?.digest, spares)
    }
    for (const path of await this.#offerDirectories()) {
      const key = relative(join(this.directory, 'tiers'), path)
      await dropBytes(path, this.intermediates.get(key)?.digest, spares)
    }
  }

  async #offerDirectories(): Promise<string[]> {
    const tiers = join(this.directory, 'tiers')
    const found = await Promise.all(
      (await listDirectory(tiers)).map(async (tier) =>
        (await listDirectory(join(tiers, tier))).map((offer) => join(tiers, tier, offer)),
      ),
    )
    return found.flat()
  }

  async remove(): Promise<void> {
    await removeTree(this.directory)
  }

  /** A participant's failure as far as it counts: in evaluation, or in training of the current attempt. */
  failureOf(participant: string): FailureRecord | undefined {
    const failure = this.failures.get(participant)
    if (failure?.during !== 'training') return failure
    const counts = failure.attempt === this.attempt.attempt && !this.updates.has(participant)
    return counts ? failure : undefined
  }

  failedInTraining(): Set<string> {
    const failed = [...this.failures.keys()].filter((name) => this.failureOf(name)?.during === 'training')
    return new Set(failed)
  }

  /** Participants asked to evaluate the merged parameters that have not answered yet. */
  missingEvaluations(): string[] {
    return (this.result?.evaluators ?? []).filter((name) => !this.#hasAnswered(name))
  }

  /** Whether this participant's evaluation is still missing. */
  lacksEvaluationOf(participant: string): boolean {
    return !this.#hasAnswered(participant) && this.result?.evaluators.includes(participant) === true
  }

  #hasAnswered(participant: string): boolean {
    return this.evaluations.has(participant) || this.failures.get(participant)?.during === 'evaluation'
  }

  isShort(): boolean {
    return this.short?.attempt === this.attempt.attempt
  }

  /** Whether an update may still become part of the round. */
  isCollecting(): boolean {
    return !this.commit && !this.isShort()
  }
}

/** Where the bytes of an update lie that was trained from the round of this directory. */
export function uploadPath(roundDirectory: string, participant: string, digest: string): string {
  return bytesIn(uploadDirectory(roundDirectory, participant), digest)
}

export function bytesIn(directory: string, digest: string): string {
  return join(directory, `${digest.slice('sha256:'.length)}.update`)
}

async function dropBytes(directory: string, digest: string | undefined, spares: SpareFiles): Promise<void> {
  const accepted = digest && bytesIn(directory, digest)
  for (const name of await listDirectory(directory)) {
    if (!name.endsWith('.update')) continue
    const path = join(directory, name)
    // A request may still write to what was not accepted: no other update may come into such a file.
    await (path === accepted ? spares.discard(path) : rm(path, { force: true }))
  }
}

function uploadDirectory(roundDirectory: string, participant: string): string {
  return join(roundDirectory, 'updates', participant)
}

async function loadAll<T extends { participant: string }>(
  directory: string,
  schema: z.ZodType<T>,
  into: Map<string, T>,
): Promise<void> {
  for (const name of await listDirectory(directory)) {
    if (!name.endsWith('.json')) continue
    const record = await readRecord(join(directory, name), schema)
    if (record) into.set(record.participant, record)
  }
}
