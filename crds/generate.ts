// Writes crds/yaml from the kinds; `make generate` calls it, `make verify` calls it and fails when git sees a difference.
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { customResourceDefinition, KINDS } from './definition.ts'
import { GROUP } from './names.ts'

const folder = fileURLToPath(new URL('./yaml/', import.meta.url))
mkdirSync(folder, { recursive: true })
for (const kind of KINDS) {
  const text = stringify(customResourceDefinition(kind), { lineWidth: 110, aliasDuplicateObjects: false })
  writeFileSync(
    `${folder}${GROUP}_${kind.plural}.yaml`,
    `# Generated from crds/ by \`make generate\`. Do not edit.\n${text}`,
  )
}
