// The shared libraries that programs need, found by reading the programs: whatever the architecture, nothing is run.
import { cp, mkdir, readdir, realpath } from 'node:fs/promises'
import path from 'node:path'
import { run } from '#e2e/cluster/run.ts'

export interface LibrarySearch {
  readonly programs: readonly string[]
  /** Libraries that the programs bring along. */
  readonly provided: readonly string[]
  /** Root of the unpacked packages. */
  readonly packages: string
}

/** Copies what is needed, directly or by another library, to the places where the loader looks. */
export async function copyLibraries(search: LibrarySearch, root: string): Promise<void> {
  const available = await sharedObjects(search.packages)
  const done = new Set(search.provided)
  const pending = [...search.programs]
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    for (const name of await neededBy(file)) {
      if (done.has(name)) continue
      done.add(name)
      const places = available.get(name)
      if (places === undefined)
        throw new Error(`${path.basename(file)} needs ${name}, which is in none of the packages`)
      for (const place of places) {
        pending.push(place)
        await copyAs(place, path.join(root, path.relative(search.packages, place)))
      }
    }
  }
}

async function neededBy(file: string): Promise<string[]> {
  const dynamic = await run('readelf', ['--dynamic', '--wide', file])
  return [...dynamic.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map((match) => match[1] ?? '')
}

/** Every shared object by its file name; the loader stands in two places where two names lead to it. */
async function sharedObjects(root: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory() || !/\.so(\.|$)/.test(entry.name)) continue
    const places = found.get(entry.name) ?? []
    found.set(entry.name, [...places, path.join(entry.parentPath, entry.name)])
  }
  return found
}

/** Copies the content under the name that programs ask for, whatever the links between them are. */
async function copyAs(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true })
  await cp(await realpath(from), to)
}
