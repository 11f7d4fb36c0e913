// Loads this repository's modules with a few words changed, without touching a file: what a wrong reconciler would look
// like to everything that imports it. A change whose words are not there is an error, not a reconciler that is right.
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Edit, Mutant } from './mutants.ts'

const ROOT = join(import.meta.dirname, '../../..')

/** From now on; modules that were loaded before stay as they were. */
export function loadMutated({ edits }: Mutant): void {
  const byUrl = new Map(Object.entries(Object.groupBy(edits, ({ file }) => urlOf(file))))
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context)
      const own = byUrl.get(url)
      if (!own) return loaded
      return { ...loaded, source: mutated(textOf(loaded.source), own) }
    },
  })
}

/** The text of a module with the edits made. */
export function mutated(source: string, edits: readonly Edit[]): string {
  return edits.reduce((text, { file, from, to }) => {
    const found = text.split(from).length - 1
    if (found !== 1) throw new Error(`${file}: "${from}" is there ${found} times, a mutant needs it once`)
    return text.replace(from, () => to)
  }, source)
}

export function sourceOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

function urlOf(file: string): string {
  return pathToFileURL(join(ROOT, file)).href
}

function textOf(source: unknown): string {
  return typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString('utf8')
}
