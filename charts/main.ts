// Writes the Helm chart to charts/tributary, or to the folder named by the first argument. Files that the chart no
// longer has are removed.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chartFiles } from './chart.ts'

const folder = process.argv[2] ?? fileURLToPath(new URL('./tributary', import.meta.url))
rmSync(folder, { recursive: true, force: true })
for (const [path, content] of Object.entries(chartFiles())) {
  const file = join(folder, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
}
