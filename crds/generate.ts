// The CRD YAML of every kind, and where it lies. `make generate` writes it, definition.test.ts checks that what is
// committed is what the kinds say now.
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { customResourceDefinition, KINDS, type Kind } from './definition.ts'
import { GROUP } from './names.ts'

export const customResourceDefinitionFile = (kind: Kind): string => `${GROUP}_${kind.plural}.yaml`

export function customResourceDefinitionYaml(kind: Kind): string {
  const text = stringify(customResourceDefinition(kind), { lineWidth: 110, aliasDuplicateObjects: false })
  return `# Generated from crds/ by \`make generate\`. Do not edit.\n${text}`
}

if (import.meta.main) {
  const folder = fileURLToPath(new URL('./yaml/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  for (const kind of KINDS)
    writeFileSync(folder + customResourceDefinitionFile(kind), customResourceDefinitionYaml(kind))
}
