/*
 * What lies on the volume of a hub, or of an edge controller, of a round: the evidence that does not depend on what it says.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommitRecord } from '#federation/tier/store/records.ts'

export class RoundOnDisk {
  readonly #folder: string

  constructor(volume: string, campaign: string, round: number) {
    this.#folder = join(volume, 'campaigns', campaign, 'rounds', String(round))
  }

  /** Nodes whose update is accepted. */
  accepted(): string[] {
    const updates = join(this.#folder, 'updates')
    const nodes = existsSync(updates) ? readdirSync(updates) : []
    return nodes.filter((node) => existsSync(join(updates, node, 'update.json')))
  }

  /** The updates that are merged; the round must be committed. */
  committed(): CommitRecord['updates'] {
    const text = readFileSync(join(this.#folder, 'commit.json'), 'utf8')
    return CommitRecord.parse(JSON.parse(text)).updates
  }

  /** How far the round is. */
  phase(): string {
    const has = (name: string): boolean => existsSync(join(this.#folder, `${name}.json`))
    if (has('closed')) return 'closed'
    if (has('result')) return 'evaluating'
    if (has('commit')) return 'merging'
    return has('plan') ? 'collecting' : 'opening'
  }
}
