// Succeeds when node_modules holds what package-lock.json names, version for version, and runs the Node.js of ours.
// Reads npm's own record of what it installed, so that an `npm install` by hand counts as well as an `npm ci`.
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), optional: z.boolean().optional() }),
  ),
})

const read = (file: string) => Lock.parse(JSON.parse(readFileSync(file, 'utf8'))).packages
const wanted = read('package-lock.json')
const found = read('node_modules/.package-lock.json')

// A package for another platform is optional and rightly absent.
const stale = Object.entries(wanted).filter(([path, { version, optional }]) => {
  const there = found[path]
  return path !== '' && (there === undefined ? optional !== true : there.version !== version)
})

if (stale.length > 0) {
  process.stderr.write(`node_modules lacks ${stale.map(([path]) => path).join(', ')}\n`)
  process.exitCode = 1
}
if (!process.version.startsWith('v24.')) {
  process.stderr.write(
    `node_modules/.bin/node is ${process.version}, v24 is needed: was npm ci run with --ignore-scripts?\n`,
  )
  process.exitCode = 1
}
