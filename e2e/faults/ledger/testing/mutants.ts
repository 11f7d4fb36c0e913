/*
 * Wrong hubs and edge controllers, each by one change of a line of the right one, for showing that the oracle notices: loaded before
 * the process as `mutants.ts?mutant=<name>`. A line that is no longer there ends it, so that no mutant is quietly right.
 */
import { registerHooks } from 'node:module'

export interface Mutant {
  /** End of the path of the file that is changed. */
  readonly file: string
  readonly right: string
  readonly wrong: string
}

export const HUB_MUTANTS = {
  /** Acknowledges without a durable record. */
  forgetful: {
    file: '/federation/tier/rounds/round.ts',
    right: `await writeRecord(join(this.uploadDirectory(record.participant), 'update.json'), record)`,
    wrong: '',
  },
  /** Merges one update twice, the second time under another name. */
  repetitive: {
    file: '/federation/tier/rounds/merging.ts',
    right: '...{ strategy, updates, kernels, signal },',
    wrong: "...{ strategy, kernels, signal, updates: [{ ...updates[0], participant: '0' }, ...updates] },",
  },
  /** Acknowledges other bytes for a key that has an update. */
  agreeable: {
    file: '/federation/tier/updates/upload-refusals.ts',
    right: 'if (accepted.digest === digest) return true',
    wrong: 'return true',
  },
  /** Acknowledges what comes after the merge. */
  hospitable: {
    file: '/federation/tier/rounds/acceptance.ts',
    right: 'if (round.isCollecting() || isHandedOn(campaign, round)) return',
    wrong: 'return',
  },
} satisfies Record<string, Mutant>

export const CONTROLLER_MUTANTS = {
  /** Sends the sum of all that it took, also of what the hub said that it counts already. */
  careless: {
    file: '/edge-agent/controller/delivery.ts',
    right: 'batch.commit.updates.filter(({ participant }) => wanted.has(participant))',
    wrong: 'batch.commit.updates',
  },
  /** Starts again without the updates that lie on its disk. */
  amnesiac: {
    file: '/federation/tier/rounds/round.ts',
    right: "await readRecord(join(directory, 'updates', name, 'update.json'), UpdateRecord)",
    wrong: 'undefined',
  },
} satisfies Record<string, Mutant>

export const MUTANTS = { ...HUB_MUTANTS, ...CONTROLLER_MUTANTS }

export function mutant(name: keyof typeof MUTANTS): URL {
  return new URL(`?mutant=${name}`, import.meta.url)
}

const name = new URL(import.meta.url).searchParams.get('mutant')
if (name !== null) {
  const { file, right, wrong }: Mutant = MUTANTS[name as keyof typeof MUTANTS]
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context)
      if (!url.endsWith(file)) return loaded
      const source = Buffer.from((loaded.source ?? '') as Uint8Array).toString()
      if (!source.includes(right)) throw new Error(`mutant ${name}: ${file} has no line ${right}`)
      return { ...loaded, source: source.replace(right, wrong) }
    },
  })
}
