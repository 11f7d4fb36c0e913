// Installs a version and kills its own process at a given step that changes the disk. A program for model-store.test.ts:
//   node install-and-die.ts <root> <model file> <envelope file> <manifest JSON> <step>
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

import type { ModelVersionManifest } from '#federation/artefact/manifest.ts'

const [root = '', modelFile = '', envelopeFile = '', manifest = '', fatal = ''] = process.argv.slice(2)

const envelope = await promises.readFile(envelopeFile)
let step = 0
for (const name of ['mkdir', 'open', 'rename', 'rm'] as const) {
  const original = promises[name] as (...given: unknown[]) => Promise<unknown>
  const counted = async (...given: unknown[]): Promise<unknown> => {
    step += 1
    if (step === Number(fatal)) process.kill(process.pid, 'SIGKILL')
    return await original(...given)
  }
  Object.assign(promises, { [name]: counted })
}
syncBuiltinESMExports()

const { ModelStore } = await import('../agent/model-store.ts')
await new ModelStore(root).install(JSON.parse(manifest) as ModelVersionManifest, envelope, modelFile)
process.stdout.write(`installed in ${step} steps`)
