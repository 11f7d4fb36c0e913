/*
 * Where and with what something was measured: what every report of figures says at its head.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'

const MANIFEST = new URL('../../package.json', import.meta.url)

/** The processor, how many of it, and the memory. */
export function machine(): string {
  const processor = cpus()[0]?.model ?? 'unknown processor'
  return `${processor}, ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, shared with other work`
}

/** Node.js and these packages, as package.json pins them. */
export function ownVersions(packages: readonly string[]): Record<string, string> {
  const manifest = JSON.parse(readFileSync(MANIFEST, 'utf8')) as { dependencies: Record<string, string> }
  const pinned = packages.map((name) => [name, manifest.dependencies[name] ?? 'unknown'] as const)
  return { node: process.versions.node, ...Object.fromEntries(pinned) }
}
